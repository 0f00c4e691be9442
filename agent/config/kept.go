package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ekassa/agent/durable"
	"ekassa/cloud/wire"
)

// keptName is the file in the data folder that holds what was set on the page at
// the first start. The service may not write agent.yaml, which is root's.
const keptName = "setup.json"

type kept struct {
	Settings json.RawMessage `json:"settings"`
	Cloud    *keptCloud      `json:"cloud,omitempty"`
}

type keptCloud struct {
	Broker  string `json:"broker"`
	AgentID string `json:"agent_id"`
}

// Keep puts settings, and the way to the cloud where it is not nil, into the data
// folder. [Load] takes them wherever agent.yaml says nothing of its own.
func Keep(dir string, s wire.Settings, cloud *Cloud) error {
	settings, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("keep what was set up: %w", err)
	}
	if _, err := wire.ParseSettings(settings); err != nil {
		return fmt.Errorf("keep what was set up: %w", err)
	}
	k := kept{Settings: settings}
	if cloud != nil {
		c := keptCloud(*cloud)
		if c.Broker, err = parseBroker(c.Broker); err != nil {
			return fmt.Errorf("keep what was set up: the broker %w", err)
		}
		k.Cloud = &c
	}
	data, err := json.MarshalIndent(k, "", "  ")
	if err == nil {
		err = durable.Replace(filepath.Join(dir, keptName), append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("keep what was set up: %w", err)
	}
	return nil
}

// Kept says whether something was set up on the page.
func Kept(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, keptName))
	return !errors.Is(err, fs.ErrNotExist)
}

// takeKept fills in what was set on the page. What agent.yaml says goes first.
func (c *Config) takeKept() error {
	path := filepath.Join(c.DataDir, keptName)
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, fs.ErrPermission): // a command of somebody who may read agent.yaml alone
		c.Warnings = append(c.Warnings, Warning{HintUnread, err.Error()})
		return nil
	case err != nil:
		return fmt.Errorf("read what was set up on the page: %w", err)
	}
	advice := "remove it, and the page begins anew"
	var k kept
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&k); err != nil {
		return fmt.Errorf("read %s: it is not whole; %s", path, advice) // the decoder's words may have a secret
	}
	s, err := wire.ParseSettings(k.Settings)
	if err != nil {
		return fmt.Errorf("read %s: %w; %s", path, err, advice)
	}
	if c.Cloud == nil && k.Cloud != nil {
		cloud := Cloud(*k.Cloud)
		if cloud.Broker, err = parseBroker(cloud.Broker); err != nil || !agentForm.MatchString(cloud.AgentID) {
			return fmt.Errorf("read %s: its cloud cannot be used; %s", path, advice)
		}
		c.Cloud = &cloud
	}
	if len(c.Settings.Registers)+len(c.Settings.Terminals) > 0 {
		c.Warnings = append(c.Warnings, Warning{HintUnused, path})
		return nil
	}
	c.Settings = s
	c.Warnings = warnings(*c, true)
	return nil
}
