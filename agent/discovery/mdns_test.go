package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/grandcat/zeroconf"
	"go.uber.org/goleak"
)

func loopback(t *testing.T) []net.Interface {
	t.Helper()
	ifaces, err := interfaces([]string{"lo"})
	if err != nil {
		t.Fatal(err)
	}
	return ifaces
}

// announce registers a service on loopback until the test ends. The name is
// made unique, because other packages' tests may use the same loopback.
func announce(t *testing.T, name, service string, port int, ips []string, txt ...string) string {
	t.Helper()
	name = fmt.Sprintf("%s %d", name, time.Now().UnixNano()%1e9)
	s, err := zeroconf.RegisterProxy(name, service, domain, port, "shop", ips, txt, loopback(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return name
}

// named returns the candidates with one of the names, as text.
func named(cs []Candidate, names ...string) string {
	var got []string
	for _, c := range cs {
		for i, n := range names {
			if c.Name == n {
				got = append(got, fmt.Sprintf("%d %s %s %s", i, c.Addr, c.Protocol, c.Serial))
			}
		}
	}
	return strings.Join(got, "; ")
}

func TestBrowse_OnLoopback(t *testing.T) {
	// A port of its own: another package's simulator may be announced on this loopback.
	l := listen(t, "127.0.0.1:0")
	port := l.Addr().(*net.TCPAddr).Port
	bar := announce(t, "Bar", ServiceType, port, []string{"127.0.0.1", "192.168.77.5", "8.8.8.8"}, "protocol=azsmart", "serial=A 1")
	hall := announce(t, "Hall №2.", ServiceType, port+1, []string{"127.0.0.1"})
	web := announce(t, "Web", "_http._tcp", 80, []string{"127.0.0.1"}, "protocol=azsmart")
	foreign := announce(t, "Foreign", "_my"+ServiceType, 8008, []string{"127.0.0.1"}, "protocol=azsmart")

	time.Sleep(100 * time.Millisecond) // until the announcers' own goroutines run
	before := goleak.IgnoreCurrent()
	want := fmt.Sprintf("0 127.0.0.1:%d azsmart A 1; 1 127.0.0.1:%d  ; 0 192.168.77.5:%[1]d azsmart A 1", port, port+1)
	// What is not heard within one window is heard within another.
	for end := time.Now().Add(30 * time.Second); ; {
		start := time.Now()
		cs, err := Browse(t.Context(), loopback(t), 1500*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		if took < 1400*time.Millisecond {
			t.Errorf("the window took %s", took)
		}
		got := named(cs, bar, hall, web, foreign, strings.TrimSuffix(foreign, "._my"))
		if got == want && took <= 2500*time.Millisecond {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("in %s got  %s\nwant %s\nof %v", took, got, want, cs)
		}
	}
	nothingLeft(t, before)
}

func TestBrowse_StopsWithItsContext(t *testing.T) {
	before := goleak.IgnoreCurrent()
	best := time.Hour // of three: the machine may be busy
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		start := time.Now()
		if _, err := Browse(ctx, loopback(t), time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		best = min(best, time.Since(start))
		cancel()
	}
	if best > 2*time.Second {
		t.Errorf("took %s", best)
	}
	nothingLeft(t, before)
}

// nothingLeft waits for what still ends.
func nothingLeft(t *testing.T, before goleak.Option) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); goleak.Find(before) != nil; {
		if time.Now().After(end) {
			goleak.VerifyNone(t, before)
			return
		}
	}
}

func TestBrowse_NeverTakesAllInterfaces(t *testing.T) {
	if _, err := Browse(t.Context(), nil, time.Second); err == nil {
		t.Error("no interface was taken for all")
	}
	if _, err := Browse(t.Context(), []net.Interface{{Index: 99999, Name: "gone0"}}, time.Second); err == nil {
		t.Error("a missing interface was no error")
	}
	if _, err := interfaces([]string{"gone0", "gone1"}); err == nil || !strings.Contains(err.Error(), "gone1") {
		t.Errorf("missing interfaces: %v", err)
	}
	if ifaces, err := interfaces([]string{"gone0", "lo"}); err != nil || len(ifaces) != 1 {
		t.Errorf("one of two interfaces: %v, %v", ifaces, err)
	}
}

func TestDrain_NeverStopsReading(t *testing.T) {
	entries := make(chan *zeroconf.ServiceEntry)
	go func() {
		defer close(entries)
		for i := range 10_000 {
			entries <- entry(fmt.Sprint("flood ", i), 8008, "10.0.0.1", "10.0.0.2", "10.0.0.3")
		}
	}()
	if cs := drain(entries, false); len(cs) != maxCandidates {
		t.Errorf("kept %d", len(cs))
	}
}
