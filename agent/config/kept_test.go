package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"ekassa/cloud/wire"
)

func someSettings() wire.Settings {
	s := wire.DefaultSettings()
	s.Tax.Type = wire.TaxSimplified8
	s.Language = "ru"
	s.Terminals = []wire.Terminal{{ID: "till-1", Name: `Bar "Ə"`}, {ID: "till-2", Name: "Zal"}}
	s.Registers = []wire.Register{
		{ID: "kassa-1", Name: "Bar", Driver: wire.DriverAzSmart, MerchantID: "0123456789", Serial: "0090", Terminal: "till-1", Mode: wire.ModeActive},
		{ID: "kassa-2", Name: "Zal", Driver: wire.DriverCaspos, Address: netip.MustParseAddrPort("192.168.1.9:5544"), Username: "a", Password: `b"c`, Terminal: "till-2", Mode: wire.ModeActive},
	}
	return s
}

func TestKeep_WhatThePageSetsIsReadWhereTheFileSaysNothing(t *testing.T) {
	dir := t.TempDir()
	file, data := filepath.Join(dir, "agent.yaml"), filepath.Join(dir, "data")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if Kept(data) {
		t.Error("kept before it is")
	}
	write("data_dir: data\n")
	want := someSettings()
	if err := Keep(data, want, &Cloud{Broker: "mqtts://mqtt.example.com", AgentID: "baku-0001"}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(data, keptName)); err != nil || info.Mode().Perm() != 0o600 || !Kept(data) {
		t.Errorf("%v, %v", info, err)
	}
	c, err := Load(file)
	if err != nil || !reflect.DeepEqual(c.Settings, want) || c.Cloud == nil || c.Cloud.Broker != "mqtts://mqtt.example.com:8883" || len(c.Warnings) > 0 {
		t.Errorf("%v\n%+v\nwarnings %q", err, c, c.Warnings)
	}

	// The file's own go first, and that is said.
	write("data_dir: data\ncloud: {broker: \"mqtt://127.0.0.1:1883\", agent_id: other}\nsettings: {terminals: [{id: till-9}]}\n")
	c, err = Load(file)
	if err != nil || len(c.Settings.Registers) != 0 || c.Cloud.AgentID != "other" || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].Detail, keptName) {
		t.Errorf("%v %+v %q", err, c.Settings, c.Warnings)
	}

	write("data_dir: data\n")
	for _, damaged := range []string{"", "{", `{"settings":{"registers":1}}`, `{"settings":{},"more":1}`, `{"settings":{},"cloud":{"broker":"x","agent_id":"y"}}`} {
		if err := os.WriteFile(filepath.Join(data, keptName), []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(file); err == nil || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%q: %v", damaged, err)
		}
	}
	if err := Keep(data, wire.Settings{}, nil); err == nil {
		t.Error("settings that are none were kept")
	}
}

func TestWriteSettings_LeavesTheRestAsItStands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "agent.yaml")
	before := "# ours\ndata_dir: /srv/x\n\n# tills\nlisten: 127.0.0.1:1\nhosts: [a.lan]\ndiscovery: {sweep: [192.168.1.0/24]}\n\n# the shop\nsettings:\n  registers: []\n  # gone\nfront_doors:\n  - {protocol: azsmart, listen: \"0.0.0.0:8008\", terminal: till-1}\n"
	if err := os.WriteFile(file, []byte(before), 0o640); err != nil {
		t.Fatal(err)
	}
	want := someSettings()
	for range 2 {
		if err := WriteSettings(file, "0.0.0.0:1", []string{"eth0", "wlan0"}, want); err != nil {
			t.Fatal(err)
		}
		c, err := Load(file)
		if err != nil || !reflect.DeepEqual(c.Settings, want) || c.Listen != "0.0.0.0:1" || !reflect.DeepEqual(c.Discovery.Interfaces, []string{"eth0", "wlan0"}) ||
			len(c.Discovery.Sweep) != 1 || len(c.FrontDoors) != 1 || c.Hosts[0] != "a.lan" {
			t.Errorf("%v\n%+v", err, c)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"# ours\ndata_dir: /srv/x\n\n# tills\n", "hosts: [a.lan]\n", "\n# the shop\nsettings:\n", "front_doors:\n  - {"} {
		if !strings.Contains(string(text), line) {
			t.Errorf("%q is gone:\n%s", line, text)
		}
	}
	if strings.Contains(string(text), "# gone") {
		t.Errorf("of the old settings something is left:\n%s", text)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
}
