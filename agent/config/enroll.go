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
)

var cloudKey = regexp.MustCompile(`^(cloud|"cloud"|'cloud')[ \t]*:`)

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
	end := "\n"
	if bytes.Contains(data, []byte("\r\n")) {
		end = "\r\n"
	}
	block := fmt.Sprintf("cloud:%s  broker: %q%s  agent_id: %q%s", end, c.Broker, end, c.AgentID, end)
	var out strings.Builder
	inside, done := false, false
	for line := range strings.Lines(string(data)) {
		switch {
		case cloudKey.MatchString(line):
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
	if after.Cloud == nil || *after.Cloud != c {
		return nil, errors.New("the file is laid out in a way that is not understood")
	}
	before.Cloud, after.Cloud, before.Warnings, after.Warnings = nil, nil, nil, nil
	if !reflect.DeepEqual(before, after) {
		return nil, errors.New("something else in it would change")
	}
	return next, nil
}
