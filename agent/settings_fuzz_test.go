package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"ekassa/cloud/wire"
)

// FuzzSettingsFile holds that the file of pushed settings is either refused, or
// gives settings that are valid and name drivers that there are; and that those of
// agent.yaml come back only where it says so.
func FuzzSettingsFile(f *testing.F) {
	for _, s := range []string{
		`{"rev":0}`, `{"rev":3,"settings":{}}`, `{"rev":-1,"settings":null}`, `{"rev":1,"settings":{"registers":[{"id":"k","driver":"omnitech","terminal":"t","username":"u","password":"p"}],
			"terminals":[{"id":"t"}]},"trial":{"rev":0,"worked":["k"]},"report":{"rev":1,"judged":1,"state":"applied"}}`,
		`{"rev":1e3,"settings":{"timezone":"Mars"}}`, ``, `[]`, `{"rev":9223372036854775807}`, `{"trial":{}}`,
	} {
		f.Add([]byte(s))
	}
	own, err := wire.ParseSettings([]byte(`{"language":"ru"}`))
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(f.TempDir(), settingsFile)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var p pushed
		s, err := p.load(path, own)
		if err != nil {
			if !bytes.Contains([]byte(err.Error()), []byte(path)) {
				t.Errorf("%q: %v", data, err)
			}
			return
		}
		if p.Rev == 0 {
			if s.Language != own.Language {
				t.Errorf("%q: not those of agent.yaml", data)
			}
			return
		}
		if again, err := wire.ParseSettings(p.Settings); err != nil || again.Language != s.Language {
			t.Errorf("%q: %v", data, err)
		}
		if _, err := (&shop{}).setups(s, nil); err != nil {
			t.Errorf("%q gives settings that cannot be set up: %v", data, err)
		}
	})
}
