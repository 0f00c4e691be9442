package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ekassa/agent/config"
	"ekassa/cloud/wire"
)

// A register that the cloud has set up is in no agent.yaml, and its secret in no
// evidence.
func TestExport_MasksInTheLogWhatTheCloudPushed(t *testing.T) {
	of := func(secret string) string {
		return fmt.Sprintf(`{"registers":[{"id":"kassa-1","name":"Bar","driver":"azsmart","merchant_id":%q,"terminal":"till-1","mode":"active"}],
			"terminals":[{"id":"till-1","name":"Till 1"}],"tax":{"type":"vat18"}}`, secret)
	}
	const now, before = "11111111111111111111111111111111", "22222222222222222222222222222222"
	cfg := config.Config{DataDir: t.TempDir(), Settings: wire.DefaultSettings()}
	log := []byte("a library said " + now + " and " + before)
	for kept, want := range map[string]string{
		fmt.Sprintf(`{"rev":3,"settings":%s,"trial":{"rev":2,"settings":%s}}`, of(now), of(before)): "a library said *** and ***",
		`{"rev":3,"settings":{"registers":7}}`:                                                      "the agent's log is left out",
	} {
		if err := os.WriteFile(filepath.Join(cfg.DataDir, settingsFile), []byte(kept), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := string(masked(log, cfg)); !strings.HasPrefix(got, want) || strings.Contains(got, before) {
			t.Errorf("%s", got)
		}
	}
}
