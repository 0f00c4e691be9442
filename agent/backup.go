package agent

import (
	"time"

	"ekassa/agent/config"
	"ekassa/agent/journal"
)

// Backup writes a checked copy of the journal, as of one moment, to a new file.
// It may run beside a running agent.
func Backup(cfg config.Config, out string) error { return journal.Backup(cfg.DataDir, out) }

// Restore puts a backup in the place of the journal, which is kept beside it.
// No agent may run. See journal.Restored for what then waits for a person.
func Restore(cfg config.Config, from string) (journal.Restored, error) {
	return journal.Restore(cfg.DataDir, from, time.Now())
}
