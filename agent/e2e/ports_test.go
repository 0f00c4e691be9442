package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ekassa/agent/register/simulator"
)

// An agent listens where its configuration says, and nowhere else.
func TestPorts_AgentListensWhereItWasToldOnly(t *testing.T) {
	t.Parallel()
	sim := register(t, simulator.Config{})
	s := newShop(t, at(sim.Addr()))
	door := newHost() + ":8008"
	s.config["front_doors"] = []any{object{"listen": door, "terminal": terminal, "protocol": "azsmart"}}
	guests := newHost() + ":8080"
	s.config["slip"] = object{"printer": newHost() + ":9100", "listen": guests}
	s.write()
	p := s.run()
	want := []string{s.listen, door, guests}
	slices.Sort(want)
	if got := listening(t, p.cmd.Process.Pid); !slices.Equal(got, want) {
		t.Errorf("listens on %v, was told %v", got, want)
	}
}

// listening gives the TCP addresses on which a process listens.
func listening(t testing.TB, pid int) (list []string) {
	t.Helper()
	own := map[string]bool{}
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(links) == 0 {
		t.Fatalf("no descriptors of %d: %v", pid, err)
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to, "socket:[") {
			own[strings.Trim(to, "socket:[]")] = true
		}
	}
	for _, table := range []string{"tcp", "tcp6"} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != "0A" || !own[f[9]] { // 0A: it listens
				continue
			}
			var a, b, c, d byte
			var port int
			if n, err := fmt.Sscanf(f[1], "%02X%02X%02X%02X:%04X", &d, &c, &b, &a, &port); n != 5 || err != nil {
				t.Errorf("%s: %q is no address of IPv4: it listens beyond what it was told", table, f[1])
				continue
			}
			list = append(list, net.JoinHostPort(net.IPv4(a, b, c, d).String(), fmt.Sprint(port)))
		}
	}
	slices.Sort(list)
	return list
}

// The page on security names tests; each is there.
func TestSecurityPage_NamesTestsThatAreThere(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../.github/SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z_0-9]+)`").FindAllStringSubmatch(string(page), -1)
	if len(names) < 20 {
		t.Fatalf("found only %d", len(names))
	}
	var source strings.Builder
	for _, pattern := range []string{"../*/*_test.go", "../../cloud/*/*_test.go", "../../systemd/*_test.go", "../register/*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(data)
		}
	}
	for _, n := range names {
		if !strings.Contains(source.String(), "func "+n[1]+"(") {
			t.Errorf("there is no %s", n[1])
		}
	}
}
