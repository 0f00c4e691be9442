// Command stage is the inside of scripts/demo: it starts a simulated register
// and an agent on loopback, sells receipts, looks whether everything is as it
// was told, and leaves nothing behind. It knows the programs only from outside,
// as a till maker would: their commands, their HTTP, their files.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The ports that the README speaks of; taken where they are free.
const (
	agentPort    = 8787
	registerPort = 8008
)

type options struct {
	dir, root          string // of the programs and all that the demo writes; of the checkout
	once               bool
	port, registerPort int
	limit              int
}

func main() {
	var o options
	flag.BoolVar(&o.once, "once", false, "sell one receipt, check it, and end")
	flag.IntVar(&o.port, "port", 0, "the agent's `port` (default 8787, or a free one)")
	flag.IntVar(&o.registerPort, "register-port", 0, "the simulated register's `port` (default 8008, or a free one)")
	flag.IntVar(&o.limit, "limit", 0, "sell only the evening's first `N` receipts at each register")
	flag.StringVar(&o.dir, "dir", "", "for scripts/demo: the folder with the programs; it is removed at the end")
	flag.StringVar(&o.root, "root", ".", "for scripts/demo: the checkout")
	flag.Usage = func() {
		fmt.Fprint(os.Stderr, "scripts/demo sells a restaurant's evening to simulated registers of three makers, on loopback only.\n\n"+
			"  scripts/demo          an evening; stays up until Ctrl-C\n"+
			"  scripts/demo --once   one receipt each; exit code 0 where every check passed\n\nOptions:\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if o.dir == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	s := &show{options: o}
	err := s.run(ctx)
	interrupted := ctx.Err() != nil
	stop()
	if err != nil && !interrupted {
		fmt.Printf("\ndemo: failed: %v\n", err)
		s.tail("agent.log", 20)
		s.tail("cloud.log", 20)
		s.tail("register.log", 20)
	}
	s.close()
	if err := os.RemoveAll(o.dir); err != nil {
		fmt.Printf("demo: remove the temporary folder: %v\n", err)
	}
	switch {
	case interrupted && s.up:
		fmt.Println("demo: ended, nothing is left")
	case interrupted:
		fmt.Println("demo: interrupted")
		os.Exit(1)
	case err != nil:
		os.Exit(1)
	}
}

// show is one demo.
type show struct {
	options
	serial, merchantID, token, pin string
	agentURL, registerURL          string
	register                       *process
	places                         []*place // every till with its register, AzSmart's first
	cloud                          *process
	cloudURL                       string
	cloudToken                     string        // of its one user
	failed                         chan error    // of the processes
	curtain                        func()        // ends the agent for good
	agentGone                      chan struct{} // closed when it has ended for good
	up                             bool          // every check passed, and it stays
}

func (s *show) file(name string) string { return filepath.Join(s.dir, name) }

func (s *show) run(ctx context.Context) error {
	s.failed = make(chan error, 2)
	began := time.Now()
	fmt.Print("This is a demonstration on this machine's loopback. Nothing is fiscal, nothing leaves the machine.\n\n")
	if err := s.startRegister(); err != nil {
		return err
	}
	if err := s.startAgent(ctx); err != nil {
		return err
	}
	sold, err := s.sell(ctx)
	if err != nil {
		return err
	}
	if err := s.check(ctx, sold); err != nil {
		return err
	}
	if err := s.sellElsewhere(ctx); err != nil {
		return err
	}
	if err := s.steer(ctx); err != nil {
		return err
	}
	if err := s.closeShifts(ctx); err != nil {
		return err
	}
	if err := s.checkReports(ctx); err != nil {
		return err
	}
	fmt.Printf("\nAll checks passed, %s after the start.\n", time.Since(began).Round(100*time.Millisecond))
	if s.once {
		return nil
	}
	s.up = true
	s.invite()
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	}
}

func (s *show) startRegister() error {
	loopback, err := loopback()
	if err != nil {
		return err
	}
	s.serial, s.merchantID = "DEMO-"+strings.ToUpper(random(4)), random(16)
	port, err := choose(s.registerPort, registerPort)
	if err != nil {
		return err
	}
	s.register, err = start(s.file("register.log"), s.file("ekassa-sim"), "azsmart", "--listen", port, "--mdns", "--interface", loopback,
		"--serial", s.serial, "--merchant-id", s.merchantID, "--state", s.file("register.jsonl"), "--delay", "20ms")
	if err != nil {
		return err
	}
	go func() {
		<-s.register.done
		s.failed <- fmt.Errorf("the simulated register ended: %v", s.register.err)
	}()
	s.registerURL = "http://" + port
	if err := s.until(context.Background(), 30*time.Second, "the simulated register", func() error { return get(s.registerURL+"/sim/state", "", nil) }); err != nil {
		return err
	}
	fmt.Printf("✓ register   simulated AzSmart %s on %s, announced by mDNS on %s; a print takes it 20 ms\n", s.serial, port, loopback)
	return nil
}

// startAgent gives the agent no address: it has to find the register.
func (s *show) startAgent(ctx context.Context) error {
	loopback, err := loopback()
	if err != nil {
		return err
	}
	listen, err := choose(s.port, agentPort)
	if err != nil {
		return err
	}
	s.agentURL = "http://" + listen
	registers, terminals, err := s.startOthers()
	if err != nil {
		return err
	}
	yaml := fmt.Sprintf(`data_dir: data
listen: %s
discovery: {interfaces: [%s]}
settings:
  module: {enabled: true, show_on_terminal: true, auto_send: true}
  tax: {type: vat18}
  registers:               # the first has no address: it is found by mDNS, and known by its serial
    - {id: kassa-1, name: Bar, driver: azsmart, merchant_id: %s, serial: %s, terminal: till-1, mode: active}
%s  terminals: [{id: till-1, name: Till 1}%s]
  shift: {auto_open: true, warn_after: [22h, 23h], auto_close: "off", close_at: "05:00"}
  offline: {replay: auto, replay_within: 24h}
  timezone: Asia/Baku
  language: en
`, listen, loopback, s.merchantID, s.serial, registers, terminals)
	if err := os.WriteFile(s.file("agent.yaml"), []byte(yaml), 0o600); err != nil {
		return err
	}
	if s.token, err = s.newToken("till-1"); err != nil {
		return err
	}
	if s.pin, err = s.secret("pin", "add", "Leyla", "--role", "manager"); err != nil {
		return err
	}
	if err := os.WriteFile(s.file("token"), []byte(s.token+"\n"), 0o600); err != nil {
		return err
	}
	for _, p := range s.places {
		if p.token, err = s.newToken(p.terminal); err != nil {
			return err
		}
	}
	s.places = slices.Insert(s.places, 0, &place{maker: "AzSmart", terminal: "till-1", register: "kassa-1", url: s.registerURL, token: s.token})
	if err := s.startCloud(ctx); err != nil {
		return err
	}
	agent, err := s.newAgent()
	if err != nil {
		return err
	}
	keep, curtain := context.WithCancel(context.Background())
	s.curtain, s.agentGone = curtain, make(chan struct{})
	go s.keepAgent(keep, agent)
	if err := s.until(ctx, 20*time.Second, "the agent", func() error { return get(s.agentURL+"/readyz", "", nil) }); err != nil {
		return err
	}
	fmt.Printf("✓ agent      listens for tills on %s; its journal is %s\n", listen, s.file("data"))
	var now status
	began := time.Now()
	err = s.until(ctx, 90*time.Second, "the agent to find the register", func() error {
		if err := get(s.agentURL+"/v1/status", s.token, &now); err != nil {
			return err
		}
		if now.Register.Link != "ready" {
			return fmt.Errorf("its link is %s: %s", now.Register.Link, now.Message.Text)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if now.Register.Address != strings.TrimPrefix(s.registerURL, "http://") || now.Register.Identity.Serial != s.serial {
		return fmt.Errorf("the agent found %s at %s, not %s at %s", now.Register.Identity.Serial, now.Register.Address, s.serial, s.registerURL)
	}
	fmt.Printf("✓ discovery  the agent found %s at %s in %s; no address is in its settings\n\n",
		s.serial, now.Register.Address, time.Since(began).Round(100*time.Millisecond))
	return nil
}

func (s *show) newAgent() (*process, error) {
	p, err := start(s.file("agent.log"), s.file("ekassa-agent"), "run", "--config", s.file("agent.yaml"))
	if err != nil {
		return nil, err
	}
	return p, os.WriteFile(s.file("agent.pid"), []byte(strconv.Itoa(p.cmd.Process.Pid)+"\n"), 0o600)
}

// keepAgent does what systemd would: it starts an agent again that ended. When
// ctx ends, so does the agent.
func (s *show) keepAgent(ctx context.Context, agent *process) {
	defer close(s.agentGone)
	for quick := 0; ; {
		began := time.Now()
		select {
		case <-ctx.Done():
			agent.end()
			return
		case <-agent.done:
		}
		if quick++; time.Since(began) > 5*time.Second {
			quick = 0
		}
		if quick > 3 {
			s.failed <- fmt.Errorf("the agent ended again and again: %w", agent.err)
			return
		}
		fmt.Printf("demo: the agent ended (%v); starting it again\n", agent.err)
		next, err := s.newAgent()
		if err != nil {
			s.failed <- err
			return
		}
		agent = next
	}
}

// close ends the agent before the register, so that it can finish.
func (s *show) close() {
	if s.curtain != nil {
		s.curtain()
		<-s.agentGone
	}
	s.cloud.end()
	s.register.end()
	for _, p := range s.places {
		p.process.end()
	}
}

// until asks again and again, and gives up when the time is up, a process has
// ended, or the user wants to.
func (s *show) until(ctx context.Context, within time.Duration, what string, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case failed := <-s.failed:
			return failed
		case <-ctx.Done():
			return fmt.Errorf("wait %s for %s: %w", within, what, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// loopback names the interface, which is lo on Linux.
func loopback() (string, error) {
	all, err := net.Interfaces()
	if err != nil {
		return "", fmt.Errorf("list the network interfaces: %w", err)
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 && i.Flags&net.FlagUp != 0 {
			return i.Name, nil
		}
	}
	return "", errors.New("find the loopback interface: none is up; run: ip link set lo up")
}

// choose gives the wanted port on loopback, else the usual one, else a free one.
func choose(wanted, usual int) (string, error) {
	try := []int{usual, 0}
	if wanted != 0 {
		try = []int{wanted}
	}
	var err error
	for _, port := range try {
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			defer l.Close()
			return l.Addr().String(), nil
		}
	}
	return "", fmt.Errorf("take port %d: %w; name another", wanted, err)
}

// free gives so many different addresses on loopback that nobody has.
func free(n int) (addresses []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("take a free port: %w", err)
		}
		defer l.Close() // not before all are there, or one may come twice
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

func random(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
