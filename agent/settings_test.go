package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ekassa/agent/config"
	"ekassa/agent/register/simulator"
	"ekassa/cloud/wire"
)

// running is an agent with one register, to which settings are pushed.
type running struct {
	*testing.T
	shop *shop
	dir  string
	stop func()
}

func (r *running) start(own wire.Settings) {
	r.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	ready, ended := make(chan *shop, 1), make(chan error, 1)
	go func() {
		ended <- Run(ctx, config.Config{DataDir: r.dir, Listen: "127.0.0.1:0", Settings: own, Discovery: config.Discovery{Interfaces: []string{"lo"}}},
			Options{Log: slog.New(slog.DiscardHandler), Grace: 3 * time.Second, started: func(s *shop) { ready <- s }})
	}()
	select {
	case r.shop = <-ready:
	case err := <-ended:
		r.Fatal(err)
	}
	r.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			r.Error(err)
		}
	}
}

func (r *running) until(what string, holds func() bool) {
	r.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			r.Fatalf("waited in vain: %s; %+v", what, r.shop.Reported())
		}
	}
}

func (r *running) ready(id string) bool {
	for _, s := range r.shop.desk.Registers("") {
		if s.ID == id {
			return wellEnough(s) && s.Link == "ready"
		}
	}
	return false
}

func TestApply_TakesWholeRefusesOrComesBack(t *testing.T) {
	kassa, err := simulator.Start(simulator.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer kassa.Close()
	settings := func(address, language string) []byte {
		return []byte(`{"language":"` + language + `","terminals":[{"id":"till-1"}],"registers":[{"id":"kassa-1","driver":"azsmart",
			"address":"` + address + `","merchant_id":"` + simulator.DefaultMerchantID + `","terminal":"till-1"}]}`)
	}
	good, dead := kassa.Addr(), "127.0.0.1:9"
	own, err := wire.ParseSettings(settings(good, "az"))
	if err != nil {
		t.Fatal(err)
	}
	r := &running{T: t, dir: filepath.Join(t.TempDir(), "data")}
	r.start(own)
	defer func() { r.stop() }()
	r.until("the register is ready", func() bool { return r.ready("kassa-1") })

	if got := r.shop.Apply(3, settings(good, "ru")); got.State != wire.StateApplied || got.Rev != 3 || r.shop.Settings().Language != "ru" {
		t.Fatalf("%+v", got)
	}
	got := r.shop.Apply(4, []byte(`{"language":"xx","modul":{}}`))
	if got.State != wire.StateRefused || got.Rev != 3 || got.Judged != 4 || len(got.Faults) != 2 || r.shop.Settings().Language != "ru" {
		t.Errorf("invalid ones: %+v", got)
	}
	if again := r.shop.Apply(2, settings(good, "en")); again.Judged != 4 || r.shop.Settings().Language != "ru" {
		t.Errorf("older ones: %+v", again)
	}
	// They are worse: the register is no longer reached. What was there before comes back.
	if got := r.shop.Apply(5, settings(dead, "en")); got.State != wire.StateApplied || got.Rev != 5 {
		t.Fatalf("%+v", got)
	}
	r.until("the settings before are back", func() bool { return r.shop.Reported().State == wire.StateReverted })
	if got := r.shop.Reported(); got.Judged != 5 || got.Reason == "" || r.shop.Settings().Language == "en" {
		t.Errorf("%+v", got)
	}
	r.until("the register is ready again", func() bool { return r.ready("kassa-1") })
	back := r.shop.Settings()

	// They are what it starts with the next time, and nobody else may read them.
	r.stop()
	if info, err := os.Stat(filepath.Join(r.dir, settingsFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	r.start(own)
	if !r.shop.Settings().Equal(back) || r.shop.Reported().State != wire.StateReverted {
		t.Errorf("after a restart: %+v", r.shop.Reported())
	}
	// The secret stands in no report.
	data, err := json.Marshal(r.shop.Reported())
	if err != nil || bytes.Contains(data, []byte(simulator.DefaultMerchantID)) || strings.Contains(r.shop.Reported().Reason, "merchant") {
		t.Errorf("%s, %v", data, err)
	}
}
