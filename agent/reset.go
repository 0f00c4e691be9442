package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ekassa/agent/config"
	"ekassa/agent/durable"
	"ekassa/agent/journal"
	"ekassa/agent/receipt"
	"ekassa/agent/update"
)

// Reset makes a machine ready for another shop: it writes the evidence to a new
// file out, as Export does, and then empties the data folder. The configuration
// stays, and so do the versions of the program. It refuses, and touches nothing, while an agent runs on the folder, and
// while anything in it is unfinished: a receipt that is not final, a paper that
// has not come out, a shift that is open, a record that the cloud has not stored.
func Reset(ctx context.Context, cfg config.Config, version, out string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return fmt.Errorf("reset: %w", err)
	}
	if inside, err := filepath.Rel(cfg.DataDir, out); err == nil && !strings.HasPrefix(inside, "..") {
		return fmt.Errorf("reset: %s is in the folder that is emptied; write the evidence elsewhere", out)
	}
	if err := finished(cfg); err != nil {
		return fmt.Errorf("reset %s: %w; nothing was touched", cfg.DataDir, err)
	}
	if err := Export(ctx, cfg, Evidence{Version: version}, out); err != nil {
		return fmt.Errorf("reset: %w; nothing was touched", err)
	}
	entries, err := os.ReadDir(cfg.DataDir)
	if err != nil {
		return fmt.Errorf("reset: %w", err)
	}
	for _, e := range entries {
		if e.Name() == update.FolderName { // the program is not the shop's
			continue
		}
		err = errors.Join(err, os.RemoveAll(filepath.Join(cfg.DataDir, e.Name())))
	}
	if err = errors.Join(err, durable.SyncFolder(cfg.DataDir)); err != nil {
		return fmt.Errorf("reset: empty %s: %w; the evidence is in %s", cfg.DataDir, err, out)
	}
	return nil
}

// finished says what is not.
func finished(cfg config.Config) (err error) {
	if _, err := os.Stat(filepath.Join(cfg.DataDir, "journal.db")); errors.Is(err, os.ErrNotExist) {
		return errors.New("there is no journal in it; is data_dir in the configuration right? a folder without one needs no reset")
	}
	j, err := journal.Open(cfg.DataDir, time.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	var open []string
	found := func(n int, what string) {
		if n > 0 {
			open = append(open, fmt.Sprintf("%d %s", n, what))
		}
	}
	names, err := j.Registers()
	if err != nil {
		return err
	}
	n, err := j.Unsettled()
	if err != nil {
		return err
	}
	found(n, "receipts or cash orders that are not final, or that a person has to see to")
	for _, name := range names {
		if s, err := j.Unprinted(name); err == nil {
			open = append(open, "the paper of "+s.ID)
		} else if !errors.Is(err, receipt.ErrNotFound) {
			return err
		}
		if s, err := j.OpenShift(name); err == nil {
			open = append(open, "the shift "+s.Name+" of "+name)
		} else if !errors.Is(err, receipt.ErrNotFound) {
			return err
		}
	}
	if cfg.Cloud != nil {
		n, err := j.Unacknowledged()
		if err != nil {
			return err
		}
		found(int(n), "records that the cloud has not stored")
	}
	if len(open) > 0 {
		return fmt.Errorf("unfinished: %s; finish that first", strings.Join(open, ", "))
	}
	return nil
}
