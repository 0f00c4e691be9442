package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"

	"ekassa/agent/durable"
	"ekassa/cloud/wire"
)

// WriteCloud writes the way to the cloud into an agent.yaml and leaves all else
// in it as it stands, comments too.
func WriteCloud(path string, c Cloud) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("write the cloud into the configuration: %w", err)
	}
	next, err := withCloud(data, c)
	if err == nil {
		err = durable.Rewrite(path, next)
	}
	if err != nil {
		return fmt.Errorf("write the cloud into %s: %w; write there: cloud: {broker: %q, agent_id: %q}", path, err, c.Broker, c.AgentID)
	}
	return nil
}

// withCloud puts the key's block in the place of the old one, or at the end.
func withCloud(data []byte, c Cloud) ([]byte, error) {
	before, err := Parse(data)
	if err != nil {
		return nil, err
	}
	if c.Broker, err = parseBroker(c.Broker); err != nil {
		return nil, fmt.Errorf("the broker that the cloud names: %w", err)
	}
	before.Cloud = &c
	return withBlock(data, "cloud", fmt.Sprintf("cloud:\n  broker: %q\n  agent_id: %q\n", c.Broker, c.AgentID), before)
}

// WriteSettings writes settings, and where to listen and look for registers, into
// an agent.yaml, and leaves all else in it as it stands, comments too; what stood
// in the settings is replaced. interfaces nil: those keys stay as they are.
func WriteSettings(path, listen string, interfaces []string, s wire.Settings) error {
	data, err := os.ReadFile(path)
	if err == nil {
		data, err = withSettings(data, listen, interfaces, s)
	}
	if err == nil {
		err = durable.Rewrite(path, data)
	}
	if err != nil {
		return fmt.Errorf("write the settings into %s: %w", path, err)
	}
	return nil
}

func withSettings(data []byte, listen string, interfaces []string, s wire.Settings) ([]byte, error) {
	want, err := Parse(data)
	if err != nil {
		return nil, err
	}
	if want.Listen != listen {
		want.Listen = listen
		if data, err = withBlock(data, "listen", fmt.Sprintf("listen: %q\n", listen), want); err != nil {
			return nil, err
		}
	}
	if interfaces != nil {
		want.Discovery.Interfaces = interfaces
		var block strings.Builder
		fmt.Fprintf(&block, "discovery:\n  interfaces: [%s]\n", strings.Join(interfaces, ", "))
		if sweep := want.Discovery.Sweep; len(sweep) > 0 {
			fmt.Fprintf(&block, "  sweep: [%s]\n", strings.Trim(fmt.Sprint(sweep), "[]"))
		}
		if data, err = withBlock(data, "discovery", block.String(), want); err != nil {
			return nil, err
		}
	}
	want.Settings = s
	return withBlock(data, "settings", settingsYAML(s), want)
}

// settingsYAML words what a first setup decides; the rest are the defaults.
func settingsYAML(s wire.Settings) string {
	var y strings.Builder
	y.WriteString("settings:\n")
	if s.Tax.Custom() {
		fmt.Fprintf(&y, "  tax: {name: %q, rate: %q}\n", s.Tax.Name, s.Tax.Rate)
	} else {
		fmt.Fprintf(&y, "  tax: {type: %s}\n", s.Tax.Type)
	}
	y.WriteString("  registers:\n")
	for _, r := range s.Registers {
		fmt.Fprintf(&y, "    - {id: %s, name: %q, driver: %s, serial: %q, terminal: %s, mode: %s", r.ID, r.Name, r.Driver, r.Serial, r.Terminal, r.Mode)
		if r.Address.IsValid() {
			fmt.Fprintf(&y, ", address: %q", r.Address)
		}
		for _, secret := range []struct {
			key   string
			value wire.Secret
		}{{"merchant_id", r.MerchantID}, {"username", r.Username}, {"password", r.Password}} {
			if secret.value != "" {
				fmt.Fprintf(&y, ", %s: %q", secret.key, secret.value.Reveal())
			}
		}
		y.WriteString("}\n")
	}
	y.WriteString("  terminals:\n")
	for _, t := range s.Terminals {
		fmt.Fprintf(&y, "    - {id: %s, name: %q}\n", t.ID, t.Name)
	}
	fmt.Fprintf(&y, "  timezone: %s\n  language: %s\n", s.Timezone, s.Language)
	return y.String()
}

// withBlock puts a key's block, lines that end in \n, in the place of the old one,
// or at the end. The file must then mean what is wanted, and nothing else.
func withBlock(data []byte, key, block string, want Config) ([]byte, error) {
	start := regexp.MustCompile(`^(` + key + `|"` + key + `"|'` + key + `')[ \t]*:`)
	end := "\n"
	if bytes.Contains(data, []byte("\r\n")) {
		end = "\r\n"
		block = strings.ReplaceAll(block, "\n", end)
	}
	var out strings.Builder
	inside, done := false, false
	for line := range strings.Lines(string(data)) {
		switch {
		case start.MatchString(line):
			inside, done = true, true
			out.WriteString(block)
			continue
		case inside && (strings.TrimSpace(line) == "" || line[0] == '#'):
			inside = false // what follows belongs to the next key
		case inside && line[0] != ' ' && line[0] != '}':
			inside = false
		}
		if !inside {
			out.WriteString(line)
		}
	}
	if !done {
		if s := out.String(); s != "" && !strings.HasSuffix(s, "\n") {
			out.WriteString(end)
		}
		out.WriteString(block)
	}
	next := []byte(out.String())
	after, err := Parse(next)
	if err != nil {
		return nil, err
	}
	want.Warnings, after.Warnings = nil, nil
	if !reflect.DeepEqual(want, after) {
		return nil, errors.New("the file is laid out in a way that is not understood, or something else in it would change")
	}
	return next, nil
}
