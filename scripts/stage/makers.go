package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// place is a till with its register.
type place struct {
	maker, terminal, register string
	url                       string // of the simulated register
	token                     string // of the till
	process                   *process
}

// otherMakers are those beside AzSmart, each with a till of its own.
var otherMakers = []struct{ name, driver, user, password string }{
	{"Omnitech", "omnitech", "demo", "demo-password"},
	{"Caspos", "caspos", "demo", "demo-password"},
}

// startOthers starts the other makers' registers, and gives their lines of the
// settings.
func (s *show) startOthers() (registers, terminals string, err error) {
	for n, m := range otherMakers {
		p := &place{maker: m.name, terminal: fmt.Sprintf("till-%d", n+2), register: fmt.Sprintf("kassa-%d", n+2)}
		listen, err := choose(0, 0)
		if err != nil {
			return "", "", err
		}
		p.process, err = start(s.file(m.driver+".log"), s.file("ekassa-sim"), m.driver, "--listen", listen, "--user", m.user, "--password", m.password,
			"--state", s.file(m.driver+".jsonl"), "--delay", "20ms")
		if err != nil {
			return "", "", err
		}
		s.places = append(s.places, p)
		p.url = "http://" + listen
		if err := s.until(context.Background(), 30*time.Second, m.name, func() error { return get(p.url+"/sim/state", "", nil) }); err != nil {
			return "", "", err
		}
		registers += fmt.Sprintf("    - {id: %s, name: %s, driver: %s, address: %q, username: %s, password: %s, terminal: %s, mode: active}\n",
			p.register, m.name, m.driver, listen, m.user, m.password, p.terminal)
		terminals += fmt.Sprintf(", {id: %s, name: %s}", p.terminal, m.name)
		fmt.Printf("✓ register   simulated %s on %s, its address in the settings\n", m.name, listen)
	}
	return registers, terminals, nil
}

// newToken makes one for a till.
func (s *show) newToken(terminal string) (string, error) {
	return s.secret("token", "add", terminal)
}

// secret runs a command of the agent that prints one.
func (s *show) secret(args ...string) (string, error) {
	var complaint bytes.Buffer
	add := exec.Command(s.file("ekassa-agent"), append(args, "--config", s.file("agent.yaml"))...)
	add.Stderr = &complaint
	text, err := add.Output()
	if err != nil {
		return "", fmt.Errorf("ekassa-agent %s: %w: %s", strings.Join(args, " "), err, complaint.String())
	}
	return strings.TrimSpace(string(text)), nil
}

// sellElsewhere has the other makers' tills sell, while one answer gets lost at
// each.
func (s *show) sellElsewhere(ctx context.Context) error {
	count := 25
	if s.limit > 0 {
		count = s.limit
	}
	if s.once {
		count = 1
	}
	for _, p := range s.places[1:] {
		if !s.once {
			if err := tell(ctx, p.url+"/sim/faults", `[{"fault":"drop-after","times":1,"after":9}]`); err != nil {
				return err
			}
			fmt.Printf("\nA till sells to %s, and one of its answers gets lost:\n", p.maker)
		}
		till := exec.CommandContext(ctx, s.file("ekassa-sim"), "till", "--agent", s.agentURL, "--receipts",
			filepath.Join(s.root, "agent", "testdata", "week.jsonl"), "--day", day, "--limit", strconv.Itoa(count), "--wait", "60s")
		till.Env = append(os.Environ(), "EKASSA_TOKEN="+p.token)
		if !s.once {
			till.Stdout, till.Stderr = os.Stdout, os.Stderr
		}
		till.Cancel = func() error { return till.Process.Signal(syscall.SIGTERM) }
		till.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
		if err := till.Run(); err != nil {
			return fmt.Errorf("sell to %s: %w", p.maker, err)
		}
	}
	return nil
}

// tell posts JSON to a simulated register's control.
func tell(ctx context.Context, address, body string) error {
	req, err := newRequest(ctx, address, "", []byte(body))
	if err != nil {
		return err
	}
	_, err = answer(req, nil)
	return err
}

// figures of one side: what came in and what went back.
type figures struct {
	sales, refunds int
	in, back       int64 // qəpik
}

func (f figures) String() string {
	text := fmt.Sprintf("%d: %d.%02d", f.sales, f.in/100, f.in%100)
	if f.refunds > 0 {
		text += fmt.Sprintf(" − %d: %d.%02d", f.refunds, f.back/100, f.back%100)
	}
	return text
}

// closeShifts closes the shift of each register, and holds four accounts of it
// side by side: what the tills were told, the journal's, the register's Z report,
// and the register's ledger.
func (s *show) closeShifts(ctx context.Context) error {
	fmt.Print("\nEach register's shift is closed; four accounts of it, sales − refunds:\n\n")
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "  \ttills were told\tjournal\tZ report\tregister's ledger")
	var faults []error
	for _, p := range s.places {
		told, err := s.told(p)
		if err != nil {
			return err
		}
		type sum struct {
			Count int    `json:"count"`
			Sum   string `json:"sum"`
		}
		type totals struct {
			Sales   sum `json:"sales"`
			Refunds sum `json:"refunds"`
		}
		var z struct {
			totals
			Balance struct {
				Journal     totals `json:"journal"`
				Differences []any  `json:"differences"`
			} `json:"balance"`
		}
		req, err := newRequest(ctx, s.agentURL+"/v1/shift/close", p.token, []byte(`{"cashier":"Aysel M."}`))
		if err != nil {
			return err
		}
		if _, err := answer(req, &z); err != nil {
			return fmt.Errorf("close the shift of %s: %w", p.maker, err)
		}
		read := func(t totals) (f figures, err error) {
			f.sales, f.refunds = t.Sales.Count, t.Refunds.Count
			f.in, err = qepik(t.Sales.Sum)
			back, err2 := qepik(t.Refunds.Sum)
			f.back = back
			return f, errors.Join(err, err2)
		}
		journal, err := read(z.Balance.Journal)
		if err != nil {
			return err
		}
		report, err := read(z.totals)
		if err != nil {
			return err
		}
		ledger, err := p.ledger()
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", p.maker, told, journal, report, ledger)
		if told != journal || journal != report || report != ledger || len(z.Balance.Differences) > 0 {
			faults = append(faults, fmt.Errorf("the shift of %s does not add up: %v", p.maker, z.Balance.Differences))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Println()
	if len(faults) == 0 {
		passed("the shifts of %d makers' registers are closed, and each adds up four times", len(s.places))
	}
	return errors.Join(faults...)
}

// told adds up what the place's till was told.
func (s *show) told(p *place) (f figures, err error) {
	list, err := s.journal(p.token)
	if err != nil {
		return f, err
	}
	for _, r := range list {
		total, err := qepik(r.Total)
		if err != nil {
			return f, err
		}
		if r.State != "fiscal" {
			return f, fmt.Errorf("receipt %s of %s is %s and not fiscal", r.ID, p.maker, r.State)
		}
		f.add(r.Kind, total)
	}
	return f, nil
}

func (f *figures) add(kind string, total int64) {
	switch kind {
	case "sale":
		f.sales++
		f.in += total
	case "refund":
		f.refunds++
		f.back += total
	}
}

// ledger adds up what the register made.
func (p *place) ledger() (f figures, err error) {
	var list []struct {
		Kind   string `json:"kind"`
		Amount int64  `json:"amount"`
	}
	if err := get(p.url+"/sim/ledger", "", &list); err != nil {
		return f, err
	}
	for _, d := range list {
		f.add(d.Kind, d.Amount)
	}
	return f, nil
}

// qepik reads "12.50" as 1250.
func qepik(text string) (int64, error) {
	whole, rest, ok := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole+rest, 10, 64)
	if err != nil || !ok || len(rest) != 2 {
		return 0, fmt.Errorf("read the sum %q: it is no number with two decimals", text)
	}
	return n, nil
}
