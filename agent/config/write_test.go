package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWriteCloud_LeavesTheRestAsItStands(t *testing.T) {
	c := Cloud{Broker: "mqtts://mqtt.example.com", AgentID: "baku-0001"}
	const block = "cloud:\n  broker: \"mqtts://mqtt.example.com:8883\"\n  agent_id: \"baku-0001\"\n"
	for name, x := range map[string]struct{ before, after string }{
		"at the end":           {"# ours\nlisten: 127.0.0.1:1 # here\n", "# ours\nlisten: 127.0.0.1:1 # here\n" + block},
		"without a last break": {"listen: 127.0.0.1:1", "listen: 127.0.0.1:1\n" + block},
		"a block":              {"cloud:\n  broker: mqtt://old:1\n  # theirs\n  agent_id: old\n\n# ours\nlisten: 127.0.0.1:1\n", block + "\n# ours\nlisten: 127.0.0.1:1\n"},
		"one line":             {"listen: 127.0.0.1:1\ncloud: {broker: \"mqtt://old:1\", agent_id: old}\nhosts: [a]\n", "listen: 127.0.0.1:1\n" + block + "hosts: [a]\n"},
		"several lines in {}":  {"cloud: {\n  broker: \"mqtt://old:1\",\n  agent_id: old\n}\nhosts: [a]\n", block + "hosts: [a]\n"},
		"Windows":              {"listen: 127.0.0.1:1\r\n", "listen: 127.0.0.1:1\r\n" + strings.ReplaceAll(block, "\n", "\r\n")},
	} {
		file := filepath.Join(t.TempDir(), "agent.yaml")
		if err := os.WriteFile(file, []byte(x.before), 0o640); err != nil {
			t.Fatal(err)
		}
		for range 2 { // a second time changes nothing
			if err := WriteCloud(file, c); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if got, err := os.ReadFile(file); err != nil || string(got) != x.after {
				t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, x.after)
			}
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
	}
}

func TestWriteCloud_TouchesNothingThatItDoesNotUnderstand(t *testing.T) {
	for name, x := range map[string]struct {
		file string
		c    Cloud
	}{
		"a key at another depth": {"cloud:\n\n  broker: mqtt://old:1\n  agent_id: old\n", Cloud{"mqtts://a:1", "b"}},
		"all in one mapping":     {"{listen: \"127.0.0.1:1\"}\n", Cloud{"mqtts://a:1", "b"}},
		"no broker":              {"listen: 127.0.0.1:1\n", Cloud{"https://a:1", "b"}},
		"no agent":               {"listen: 127.0.0.1:1\n", Cloud{"mqtts://a:1", "b/c"}},
	} {
		file := filepath.Join(t.TempDir(), "agent.yaml")
		if err := os.WriteFile(file, []byte(x.file), 0o600); err != nil {
			t.Fatal(err)
		}
		err := WriteCloud(file, x.c)
		if err == nil || !strings.Contains(err.Error(), "write there") {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != x.file {
			t.Errorf("%s: %v: %s", name, err, got)
		}
	}
}
