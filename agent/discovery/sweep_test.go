package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func TestCheckPrefix(t *testing.T) {
	for s, ok := range map[string]bool{
		"192.168.1.0/24": true, "10.1.0.0/22": true, "172.16.5.4/32": true, "127.0.0.0/30": true,
		"10.0.0.0/21": false, "0.0.0.0/0": false, "8.8.8.0/24": false, "172.32.0.0/24": false,
		"fd00::/120": false, "::ffff:10.0.0.0/120": false, "169.254.0.0/24": false,
	} {
		if err := CheckPrefix(prefix(s)); (err == nil) != ok {
			t.Errorf("CheckPrefix(%s) = %v, want ok %v", s, err, ok)
		}
	}
	if err := CheckPrefix(netip.Prefix{}); err == nil {
		t.Error("the zero prefix was accepted")
	}
	if _, err := Sweep(t.Context(), []netip.Prefix{prefix("8.8.8.0/24")}, []uint16{80}, Limits{}); err == nil {
		t.Error("Sweep went out to the internet")
	}
	if err := checkPrefixes(slices.Repeat([]netip.Prefix{prefix("10.0.0.0/24")}, maxPrefixes+1)); err == nil {
		t.Error("too many subnets were accepted")
	}
}

func TestTargets(t *testing.T) {
	own := map[netip.Addr]bool{netip.MustParseAddr("10.0.0.2"): true, netip.MustParseAddr("127.0.0.1"): true}
	for _, c := range []struct{ name, prefixes, want string }{
		{"no network, broadcast or own address", "10.0.0.0/29", "[10.0.0.1:1 10.0.0.3:1 10.0.0.4:1 10.0.0.5:1 10.0.0.6:1]"},
		{"a host alone", "10.0.0.9/32", "[10.0.0.9:1]"},
		{"a pair", "10.0.0.8/31", "[10.0.0.8:1 10.0.0.9:1]"},
		{"our loopback stays", "127.0.0.0/30", "[127.0.0.1:1 127.0.0.2:1]"},
		{"overlap", "10.0.0.9/32 10.0.0.8/31 10.0.0.8/30", "[10.0.0.8:1 10.0.0.9:1 10.0.0.10:1]"},
	} {
		var ps []netip.Prefix
		for _, f := range strings.Fields(c.prefixes) {
			ps = append(ps, prefix(f))
		}
		if got := fmt.Sprint(targets(ps, []uint16{1, 1}, own)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	todo := targets([]netip.Prefix{prefix("192.168.0.0/22")}, []uint16{2, 1}, nil)
	if len(todo) != 2*1022 || todo[0].Port() != 1 || todo[1022].Port() != 2 {
		t.Errorf("%d targets, first %s, in the middle %s", len(todo), todo[0], todo[1022])
	}
}

func TestSweep_KeepsItsLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var under, most, dials atomic.Int32
		dial := func(ctx context.Context, a netip.AddrPort) error {
			dials.Add(1)
			n := under.Add(1)
			defer under.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			<-ctx.Done() // nobody answers
			return ctx.Err()
		}
		todo := targets([]netip.Prefix{prefix("10.0.0.0/24")}, []uint16{8008}, nil)
		start := time.Now()
		open, err := sweep(t.Context(), todo, Limits{}.orDefault(), dial)
		took := time.Since(start)
		if len(open) != 0 || err != nil {
			t.Errorf("found %v, %v", open, err)
		}
		if dials.Load() != 254 || most.Load() != 16 {
			t.Errorf("%d connects, at most %d at a time", dials.Load(), most.Load())
		}
		// 254 hosts, 16 at a time, 400 ms each.
		if took < 6*time.Second || took > 8*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestSweep_KeepsItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		todo := targets([]netip.Prefix{prefix("10.0.0.0/22")}, []uint16{1}, nil)
		start := time.Now()
		open, err := sweep(t.Context(), todo, Limits{}.orDefault(), func(context.Context, netip.AddrPort) error { return nil })
		if err != nil || len(open) != 1022 || !slices.IsSortedFunc(open, netip.AddrPort.Compare) {
			t.Errorf("%d found, %v", len(open), err)
		}
		if took := time.Since(start); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("1022 connects that answer at once took %s, want 200 a second", took)
		}
	})
}

func TestSweep_StopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		todo := targets([]netip.Prefix{prefix("10.0.0.0/24")}, []uint16{1, 2, 3}, nil)
		start := time.Now()
		open, err := sweep(ctx, todo, Limits{}.orDefault(), func(ctx context.Context, a netip.AddrPort) error {
			if a.Addr().As4()[3] == 1 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) || len(open) != 1 {
			t.Errorf("got %v, %v", open, err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestSweep_OurOwnFailureIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		todo := targets([]netip.Prefix{prefix("10.0.0.0/30")}, []uint16{1}, nil)
		_, err := sweep(t.Context(), todo, Limits{}.orDefault(), func(_ context.Context, a netip.AddrPort) error {
			return &net.OpError{Op: "dial", Err: syscall.ENETUNREACH}
		})
		if !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("no route: %v", err)
		}
		_, err = sweep(t.Context(), todo, Limits{}.orDefault(), func(_ context.Context, a netip.AddrPort) error {
			return &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}
		})
		if err != nil {
			t.Errorf("nobody there: %v", err)
		}
	})
}

func TestSweep_FindsListenersOnLoopbackAndSendsNothing(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	var mu sync.Mutex
	var bytes int
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		n, _ := c.Read(make([]byte, 10)) // ends with the other side's close
		mu.Lock()
		bytes += n
		mu.Unlock()
	}()
	addr := netip.MustParseAddrPort(l.Addr().String())
	open, err := Sweep(t.Context(), []netip.Prefix{prefix("127.0.0.0/30")}, []uint16{addr.Port()}, Limits{})
	if err != nil || len(open) != 1 || open[0] != addr {
		t.Fatalf("found %v, %v, want %s", open, err, addr)
	}
	<-done
	if bytes != 0 {
		t.Errorf("%d bytes were sent", bytes)
	}
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestLAN_NamesOnlyWhatMayBeSwept(t *testing.T) {
	ifaces, prefixes, err := LAN()
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(ifaces, "lo") {
		t.Error("loopback is not the shop's network")
	}
	for _, p := range prefixes {
		if err := CheckPrefix(p); err != nil {
			t.Error(err)
		}
	}
}
