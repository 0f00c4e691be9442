package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var wantA = Want{Register: "kassa-1", Protocol: AzSmart, Serial: "A"}

func with(w Want, change func(*Want)) Want { change(&w); return w }

func TestFind_Order(t *testing.T) {
	const fixed, last, told, swept = "192.168.1.1:8008", "192.168.1.2:8008", "192.168.1.3:9000", "192.168.1.4:8008"
	everywhere := with(wantA, func(w *Want) { w.Fixed, w.Last = at(fixed), at(last) })
	for _, c := range []struct {
		name            string
		want            Want
		there           []string
		addr            string
		via             Via
		browses, sweeps int
		took            time.Duration
	}{
		{"the fixed address wins", everywhere, []string{fixed, last, told, swept}, fixed, ViaFixed, 0, 0, 0},
		{"then where it was", with(everywhere, func(w *Want) { w.Fixed = netip.AddrPort{} }), []string{fixed, last, told, swept}, last, ViaKnown, 0, 0, 0},
		{"then who announces it", wantA, []string{told, swept}, told, ViaMDNS, 1, 0, windowTakes},
		{"then the sweep", wantA, []string{swept}, swept, ViaSweep, 1, 1, windowTakes + sweepTakes},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{at: map[netip.AddrPort]Identity{}, announced: []Candidate{{Addr: at(told), Protocol: AzSmart, Name: "Bar"}}}
				for _, a := range c.there {
					n.at[at(a)] = register("A")
				}
				start := time.Now()
				found := mustFind(t, n.finder(t), c.want, c.addr, c.via)
				if took := time.Since(start).Truncate(time.Second); took != c.took {
					t.Errorf("took %s, want %s", took, c.took)
				}
				if (found.Name == "Bar") != (c.via == ViaMDNS) || found.Model != "A930" {
					t.Errorf("found %+v", found)
				}
				n.wantCounts(t, c.browses, c.sweeps)
			})
		})
	}
}

func TestFind_FixedAddressIsTheOnlyOneTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{at: map[netip.AddrPort]Identity{at("192.168.1.4:8008"): register("A")}}
		f := n.finder(t)
		fixed := with(wantA, func(w *Want) { w.Fixed, w.Last = at("192.168.1.1:8008"), at("192.168.1.4:8008") })
		if nf := wantNone(t, f, fixed); len(nf.Attempts) != 1 || nf.Attempts[0].Via != ViaFixed {
			t.Errorf("tried %v", nf.Attempts)
		}

		n.at[fixed.Fixed] = register("B")
		_, err := f.Find(t.Context(), fixed)
		var wrong *WrongRegister
		if !errors.As(err, &wrong) || wrong.Want != "A" || wrong.Got != "B" || wrong.Addr != fixed.Fixed || errors.Is(err, ErrNotFound) {
			t.Errorf("another register: %v", err)
		}

		n.at[fixed.Fixed] = Identity{Serial: "A", Signed: false}
		if _, err := f.Find(t.Context(), fixed); !errors.Is(err, ErrNotSigned) || errors.Is(err, ErrNotFound) {
			t.Errorf("a register that refuses us: %v", err)
		}

		n.at[fixed.Fixed] = Identity{Signed: true}
		if _, err := f.Find(t.Context(), fixed); !errors.As(err, &wrong) || wrong.Got != "" {
			t.Errorf("a register without serial for a wanted one: %v", err)
		}
		fixed.Serial = ""
		if found, err := f.Find(t.Context(), fixed); err != nil || found.Serial != "" {
			t.Errorf("a register without serial that a person vouched for: %+v, %v", found, err)
		}
		n.wantCounts(t, 0, 0)
	})
}

func TestFind_AnotherRegisterIsNeverReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{
			at: map[netip.AddrPort]Identity{
				at("192.168.1.2:8008"): register("B"), at("192.168.1.3:8008"): register("C"),
				at("192.168.1.4:8008"): {Model: "chromecast"}, at("192.168.1.5:8008"): {Serial: "A", Signed: false},
				at("192.168.1.6:8008"): {Model: "mute"}, at("192.168.1.7:8008"): {Signed: true},
			},
			announced: []Candidate{{Addr: at("192.168.1.3:8008"), Protocol: AzSmart, Serial: "A"}}, // a lie
		}
		f := n.finder(t)
		w := with(wantA, func(w *Want) { w.Last = at("192.168.1.2:8008") })
		nf := wantNone(t, f, w)
		if len(nf.Attempts) != 6 || !errors.Is(nf, ErrNotSigned) {
			t.Errorf("attempts %v", nf.Attempts)
		}
		for i, want := range []string{"register B", "register C", "not a register", "refuses", "deadline", "does not tell"} {
			if got := nf.Attempts[i].Err.Error(); !strings.Contains(got, want) {
				t.Errorf("attempt %d: %s, want %s", i, got, want)
			}
		}
		for _, want := range []string{"azsmart register A", "mdns on eth0", "192.168.1.0/24", "6 asked", "and 1 more"} {
			if !strings.Contains(nf.Error(), want) {
				t.Errorf("%q does not say %q", nf, want)
			}
		}
		// It comes back at an address of its own.
		n.at[at("192.168.1.9:8008")] = register("A")
		time.Sleep(6 * time.Minute)
		mustFind(t, f, w, "192.168.1.9:8008", ViaSweep)
	})
}

func TestFind_AMovedRegisterIsFoundBySerial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{at: map[netip.AddrPort]Identity{at("192.168.1.2:8008"): register("A"), at("192.168.1.3:8008"): register("B")}}
		f := n.finder(t)
		w := with(wantA, func(w *Want) { w.Last = at("192.168.1.2:8008") })
		mustFind(t, f, w, "192.168.1.2:8008", ViaKnown)
		// The router was restarted and dealt the addresses anew: B sits where A was.
		n.move("192.168.1.2:8008", "192.168.1.7:8008")
		n.move("192.168.1.3:8008", "192.168.1.2:8008")
		found := mustFind(t, f, w, "192.168.1.7:8008", ViaSweep)
		n.wantCounts(t, 1, 1)
		w.Last = found.Addr
		mustFind(t, f, w, "192.168.1.7:8008", ViaKnown)
		n.wantCounts(t, 1, 1)
	})
}

func TestFind_ADeadRegisterCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{at: map[netip.AddrPort]Identity{at("192.168.1.4:8008"): {Model: "chromecast"}}}
		f := n.finder(t)
		start := time.Now()
		for time.Since(start) < 30*time.Minute {
			nf := wantNone(t, f, wantA)
			if nf.RetryAfter > 30*time.Second {
				t.Fatalf("retry after %s", nf.RetryAfter)
			}
			time.Sleep(time.Second)
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.browses < 50 || n.browses > 55 { // a window of 5 s and a pause of 30 s
			t.Errorf("%d browses in half an hour", n.browses)
		}
		if n.sweeps < 5 || n.sweeps > 6 {
			t.Errorf("%d sweeps in half an hour", n.sweeps)
		}
		if c := n.asked[at("192.168.1.4:8008")]; c < 5 || c > 10 {
			t.Errorf("a chromecast was asked %d times in half an hour", c)
		}
	})
}

func TestFind_ARestartedRegisterIsBackAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{at: map[netip.AddrPort]Identity{}}
		f := n.finder(t)
		w := with(wantA, func(w *Want) { w.Last = at("192.168.1.2:8008") })
		wantNone(t, f, w)
		time.Sleep(time.Second)
		n.at[w.Last] = register("A")
		mustFind(t, f, w, "192.168.1.2:8008", ViaKnown)
		n.wantCounts(t, 1, 1)
	})
}

func TestFind_WhoWasNotHeardOutIsNotRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{at: map[netip.AddrPort]Identity{at("192.168.1.2:8008"): register("A"), at("192.168.1.3:8008"): {Model: "mute"}}}
		f := n.finder(t)
		mustFind(t, f, wantA, "192.168.1.2:8008", ViaSweep)
		n.move("192.168.1.2:8008", "192.168.1.3:8008")
		mustFind(t, f, wantA, "192.168.1.3:8008", ViaSweep)
		n.wantCounts(t, 1, 1) // it was known to be there
	})
}

func TestFind_ByHandDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{at: map[netip.AddrPort]Identity{}}
		f := n.finder(t)
		wantNone(t, f, wantA)
		n.wantCounts(t, 1, 1)
		time.Sleep(10 * time.Second)
		n.announced = []Candidate{{Addr: at("192.168.1.8:1234"), Protocol: AzSmart}}
		n.at[at("192.168.1.8:1234")] = register("A")
		wantNone(t, f, wantA)
		n.wantCounts(t, 1, 1)
		mustFind(t, f, with(wantA, func(w *Want) { w.ByHand = true }), "192.168.1.8:1234", ViaMDNS)
		n.wantCounts(t, 2, 1)
		n.announced = nil
		n.move("192.168.1.8:1234", "192.168.1.9:8008")
		time.Sleep(30 * time.Second)
		mustFind(t, f, with(wantA, func(w *Want) { w.ByHand = true }), "192.168.1.9:8008", ViaSweep)
		n.wantCounts(t, 3, 2)
	})
}

func TestFind_OneLookServesAllWhoAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{at: map[netip.AddrPort]Identity{}}
		for i := range 5 {
			n.at[netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 168, 1, byte(10 + i)}), 8008)] = register(fmt.Sprint(i))
		}
		f := n.finder(t)
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Second / 2)
				w := Want{Register: fmt.Sprint("kassa-", i), Protocol: AzSmart, Serial: fmt.Sprint(i)}
				mustFind(t, f, w, fmt.Sprintf("192.168.1.%d:8008", 10+i), ViaSweep)
			})
		}
		wg.Wait()
		n.wantCounts(t, 1, 1)
	})
}

func TestFind_ACallerThatGivesUpSpoilsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{at: map[netip.AddrPort]Identity{at("192.168.1.4:8008"): register("A")}}
		f := n.finder(t)
		hasty, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := f.Find(hasty, wantA); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrNotFound) {
				t.Errorf("the hasty one: %v", err)
			}
		})
		time.Sleep(time.Millisecond)
		mustFind(t, f, wantA, "192.168.1.4:8008", ViaSweep)
		wg.Wait()
		n.wantCounts(t, 2, 1) // the window that was cut short was opened again

		// Callers without the time for a sweep do not sweep again and again.
		n.move("192.168.1.4:8008", "192.168.1.5:8008")
		time.Sleep(time.Hour)
		n.hang = true
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			f.Find(ctx, wantA)
			cancel()
		}
		n.wantCounts(t, 3, 2)
	})
}

func TestFind_PairsWithTheOnlyOneThatAcceptsUs(t *testing.T) {
	any := Want{Register: "kassa-1", Protocol: AzSmart}
	synctest.Test(t, func(t *testing.T) {
		n := &network{
			at: map[netip.AddrPort]Identity{
				at("192.168.1.2:8008"): register("A"), at("192.168.1.3:8008"): {Signed: false},
				at("192.168.1.2:8989"): register("O"), at("192.168.1.4:8008"): {Signed: true},
			},
			announced: []Candidate{{Addr: at("192.168.1.2:8008")}}, // no TXT: told by its port
		}
		f := n.finder(t)
		if found := mustFind(t, f, any, "192.168.1.2:8008", ViaMDNS); found.Serial != "A" || found.Also != nil {
			t.Errorf("found %+v", found)
		}
		n.wantCounts(t, 1, 1)                            // all means were used before anyone was chosen
		mustFind(t, f, any, "192.168.1.2:8008", ViaMDNS) // the sweep does not make its name forgotten

		time.Sleep(10 * time.Minute)
		n.at[at("192.168.1.9:8008")] = register("B")
		n.at[at("192.168.1.10:8008")] = register("B") // the same at a second address
		_, err := f.Find(t.Context(), any)
		var several *Ambiguous
		if !errors.As(err, &several) || len(several.Found) != 2 || several.Found[0].Serial != "A" || several.Found[1].Serial != "B" {
			t.Fatalf("two registers: %v", err)
		}
		if !strings.Contains(err.Error(), "A at 192.168.1.2:8008, B at 192.168.1.9:8008") {
			t.Error(err)
		}
		// One of them serves another till, wherever it is.
		any := with(any, func(w *Want) { w.Except = []Known{{Serial: "A"}} })
		mustFind(t, f, any, "192.168.1.9:8008", ViaSweep)
		delete(n.at, at("192.168.1.9:8008"))
		delete(n.at, at("192.168.1.10:8008"))
		wantNone(t, f, any)
	})
}

func TestFind_RegistersAtWorkAreNotDisturbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{at: map[netip.AddrPort]Identity{at("192.168.1.2:8008"): register("B"), at("192.168.1.3:8008"): register("A")}}
		f := n.finder(t)
		mustFind(t, f, with(wantA, func(w *Want) { w.Except = []Known{{at("192.168.1.2:8008"), "B"}} }), "192.168.1.3:8008", ViaSweep)
		if n.asked[at("192.168.1.2:8008")] != 0 {
			t.Error("the register at work was asked")
		}
	})
}

func TestFind_NeverFindsOurOwnFrontDoor(t *testing.T) {
	own := func() (map[netip.Addr]bool, error) {
		return map[netip.Addr]bool{netip.MustParseAddr("192.168.1.2"): true}, nil
	}
	synctest.Test(t, func(t *testing.T) {
		n := &network{at: map[netip.AddrPort]Identity{}, announced: []Candidate{{Addr: at("192.168.1.2:8008"), Serial: "A"}}}
		for _, a := range []string{"192.168.1.2:8008", "127.0.0.1:8008", "192.168.1.3:9000"} {
			n.at[at(a)] = register("A")
		}
		f := n.finder(t, func(c *Config) { c.Avoid = []netip.AddrPort{at("0.0.0.0:8008"), at("192.168.1.3:9000")} })
		f.own = own
		for _, last := range []string{"192.168.1.2:8008", "127.0.0.1:8008", "192.168.1.3:9000"} {
			wantNone(t, f, with(wantA, func(w *Want) { w.Last = at(last) }))
		}
		if _, err := f.Find(t.Context(), with(wantA, func(w *Want) { w.Fixed = at("127.0.0.1:8008") })); err == nil || !strings.Contains(err.Error(), "front door") {
			t.Errorf("fixed on our own front door: %v", err)
		}
		if all, err := f.List(t.Context()); len(all) != 0 || err != nil {
			t.Errorf("listed %v, %v", all, err)
		}
		if len(n.asked) != 0 {
			t.Errorf("asked %v", n.asked)
		}
		n.at[at("192.168.1.4:8008")] = register("A")
		time.Sleep(10 * time.Minute)
		mustFind(t, f, wantA, "192.168.1.4:8008", ViaSweep)
	})
}

func TestFind_FloodOfAnnouncementsIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{at: map[netip.AddrPort]Identity{at("192.168.1.2:8008"): register("A")}}
		f := n.finder(t)
		for i := range 2000 {
			a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 8008)
			n.announced = append(n.announced, Candidate{Addr: a, Protocol: AzSmart, Serial: "A"})
		}
		mustFind(t, f, wantA, "192.168.1.2:8008", ViaSweep)
		if len(n.asked) > maxCandidates+1 || len(f.seen) > maxCandidates+1 {
			t.Errorf("%d asked, %d kept", len(n.asked), len(f.seen))
		}
		time.Sleep(time.Hour)
		n.announced = nil
		n.at = nil
		wantNone(t, f, wantA)
		if len(f.seen) != 0 {
			t.Errorf("%d candidates are still kept after an hour", len(f.seen))
		}
	})
}

func TestFind_SaysWhatIsMissing(t *testing.T) {
	n := &network{at: map[netip.AddrPort]Identity{}}
	f := n.finder(t, func(c *Config) { c.Interfaces, c.Sweep = nil, nil })
	if nf := wantNone(t, f, wantA); !strings.Contains(nf.Error(), "no address, interface or subnet") || nf.RetryAfter != 0 {
		t.Error(nf)
	}
	if _, err := f.Find(t.Context(), Want{Protocol: Caspos}); !errors.Is(err, errNoProver) {
		t.Errorf("no prover: %v", err)
	}
	f, err := New(Config{Interfaces: []string{"no-such-if"}, Provers: map[string]Prover{AzSmart: n.prove}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time from memory
		if nf := wantNone(t, f, wantA); !strings.Contains(nf.Error(), "no-such-if") || len(nf.Failures) != 1 {
			t.Error(nf)
		}
	}
	for _, cfg := range []Config{
		{Sweep: []netip.Prefix{prefix("8.8.8.0/24")}},
		{Ports: map[string]uint16{"ipp": 631}},
		{Ports: map[string]uint16{AzSmart: 0}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("New(%+v) took it", cfg)
		}
	}
}

func TestList_OneLineForEachRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{
			at: map[netip.AddrPort]Identity{
				at("192.168.1.2:8008"): register("A"), at("192.168.1.3:8008"): register("A"),
				at("192.168.1.4:8008"): {Serial: "unproved"}, at("192.168.1.5:8989"): register("A"),
				at("192.168.1.6:8008"): {Model: "chromecast"}, at("10.9.9.9:7000"): register("Z"),
			},
			announced: []Candidate{
				{Addr: at("192.168.1.2:8008"), Protocol: AzSmart, Name: "Bar"},
				{Addr: at("192.168.1.3:8008"), Protocol: AzSmart, Name: "Bar #2"},
				{Addr: at("192.168.1.9:631"), Name: "a printer"},
			},
		}
		f := n.finder(t)
		start := time.Now()
		all, err := f.List(t.Context(), Candidate{Addr: at("10.9.9.9:7000"), Protocol: AzSmart})
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > windowTakes+time.Second {
			t.Errorf("took %s", took)
		}
		var got []string
		for _, r := range all {
			got = append(got, fmt.Sprintf("%s %q %s %v %s %q", r.Protocol, r.Serial, r.Addr, r.Also, r.Via, r.Name))
		}
		want := []string{
			`azsmart "" 192.168.1.4:8008 [] sweep ""`,
			`azsmart "A" 192.168.1.2:8008 [192.168.1.3:8008] mdns "Bar"`,
			`azsmart "Z" 10.9.9.9:7000 [] fixed ""`,
			`omnitech "A" 192.168.1.5:8989 [] sweep ""`,
		}
		if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
			t.Errorf("listed\n%s\nwant\n%s", g, w)
		}
		// A place named by a person for one List is no candidate of a later Find.
		wantNone(t, f, Want{Protocol: AzSmart, Serial: "Z"})

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := f.List(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("cut short: %v", err)
		}
	})
}
