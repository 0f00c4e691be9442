package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"rsc.io/qr"

	"ekassa/agent"
	"ekassa/agent/config"
	"ekassa/agent/discovery"
	"ekassa/agent/durable"
	"ekassa/agent/people"
	"ekassa/agent/texts"
	"ekassa/agent/token"
	"ekassa/cloud/wire"
)

func setup() *cobra.Command {
	var interfaces []string
	cmd := &cobra.Command{
		Use:   "setup --config FILE",
		Short: "Be led through everything that a new agent needs, question by question",
		Long: `Be led through everything that a new agent needs, question by question, in
Azerbaijani, Russian or English: finds registers, tries each with its Merchant ID
or login before it is written down, remembers its serial number, makes the tills'
tokens and the first PIN of the staff page, and connects to the cloud.

Until the last question nothing is written. A configuration that has registers
already is left alone.`,
		Example: "  sudo ekassa-agent setup --config /etc/ekassa-agent/agent.yaml",
		Args:    cobra.NoArgs,
	}
	path := cmd.Flags().String("config", "", "the agent's configuration, agent.yaml; made where it is not there")
	cmd.Flags().StringArrayVar(&interfaces, "interface", nil, "network interface to look for registers on; may be repeated")
	if err := cmd.MarkFlagRequired("config"); err != nil {
		panic(err) // the flag stands some lines above
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		g := &guide{cmd: cmd, in: bufio.NewScanner(cmd.InOrStdin()), out: cmd.OutOrStdout(), lang: texts.Languages[0], path: *path, interfaces: interfaces}
		return g.lead()
	}
	return cmd
}

// errEnded: the answers ended before the questions.
var errEnded = errors.New("set up: the answers ended before the questions did; nothing was written")

// guide leads an installer.
type guide struct {
	cmd        *cobra.Command
	in         *bufio.Scanner
	out        io.Writer
	lang       string
	path       string
	interfaces []string

	registers []wire.Register
	terminals []wire.Terminal
}

func (g *guide) say(key string, args texts.Args) {
	fmt.Fprintln(g.out, texts.Say(g.lang, "setup."+key, args))
}

// ask gives the answer; otherwise is what an empty one means.
func (g *guide) ask(key, otherwise string, args texts.Args) (string, error) {
	if otherwise != "" {
		fmt.Fprintf(g.out, "%s [%s]: ", texts.Say(g.lang, "setup."+key, args), otherwise)
	} else {
		fmt.Fprintf(g.out, "%s: ", texts.Say(g.lang, "setup."+key, args))
	}
	if !g.in.Scan() {
		fmt.Fprintln(g.out)
		return "", errors.Join(errEnded, g.in.Err())
	}
	if answer := strings.TrimSpace(g.in.Text()); answer != "" {
		return answer, nil
	}
	return otherwise, nil
}

// choose gives the number of one of the things that were listed, from 1 on.
func (g *guide) choose(key string, most int, otherwise int) (int, error) {
	for {
		answer, err := g.ask(key, strconv.Itoa(otherwise), nil)
		if err != nil {
			return 0, err
		}
		if n, err := strconv.Atoi(answer); err == nil && n >= 1 && n <= most {
			return n, nil
		}
		g.say("number", texts.Args{"most": strconv.Itoa(most)})
	}
}

func (g *guide) lead() error {
	before, err := g.present()
	if err != nil {
		return err
	}
	fmt.Fprintln(g.out, "1 Azərbaycanca   2 Русский   3 English")
	n, err := g.choose("language", len(texts.Languages), 1)
	if err != nil {
		return err
	}
	g.lang = texts.Languages[n-1]
	g.say("hello", nil)
	for {
		if err := g.register(before); err != nil {
			return err
		}
		answer, err := g.ask("more", "1", nil)
		if err != nil {
			return err
		}
		if answer != "2" {
			break
		}
	}
	where, err := g.choose("where", 2, 1)
	if err != nil {
		return err
	}
	if before.Listen = config.DefaultListen; where == 2 {
		_, port, err := net.SplitHostPort(config.DefaultListen)
		if err != nil {
			return err
		}
		before.Listen = net.JoinHostPort("0.0.0.0", port)
	}
	manager, err := g.ask("manager", "", nil)
	if err != nil {
		return err
	}
	cloud, err := g.ask("cloud", "", nil)
	if err != nil {
		return err
	}
	code := ""
	if cloud != "" {
		if code, err = g.ask("code", "", nil); err != nil {
			return err
		}
	}
	return g.write(before, manager, cloud, code)
}

// present reads what is there. Where somebody has set registers, it is not ours
// to put others in their place.
func (g *guide) present() (config.Config, error) {
	if _, err := os.Stat(g.path); errors.Is(err, fs.ErrNotExist) {
		dir, err := filepath.Abs(filepath.Dir(g.path))
		if err != nil {
			return config.Config{}, err
		}
		return config.Config{DataDir: filepath.Join(dir, "data")}, nil
	}
	c, err := config.Load(g.path)
	if err != nil {
		return c, err
	}
	if len(c.Settings.Registers) > 0 {
		return c, fmt.Errorf("set up %s: it has registers already; change it by hand, or move it away first", g.path)
	}
	return c, nil
}

// register asks for one until it answers, signed.
func (g *guide) register(before config.Config) error {
	found := g.search()
	for {
		r, err := g.described(&found)
		if err != nil {
			return err
		}
		g.say("trying", texts.Args{"address": r.Address.String()})
		trial := before
		trial.Settings = wire.DefaultSettings()
		trial.Settings.Registers, trial.Settings.Terminals = []wire.Register{r}, []wire.Terminal{{ID: r.Terminal}}
		checked, err := agent.Check(g.cmd.Context(), trial, r.ID)
		if err == nil && !checked[0].OK {
			err = errors.New(checked[0].Error)
		}
		if err != nil {
			g.say("trouble", texts.Args{"detail": err.Error()})
			g.say("again", nil)
			continue
		}
		r.Serial = checked[0].Identity.Serial
		g.say("works", texts.Args{"serial": r.Serial, "address": checked[0].Address})
		if r.Name, err = g.ask("name", "Kassa "+strconv.Itoa(len(g.registers)+1), nil); err != nil {
			return err
		}
		till, err := g.ask("till", "Till "+strconv.Itoa(len(g.registers)+1), nil)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(found, func(f discovery.Found) bool { return f.Addr == r.Address && f.Via == discovery.ViaMDNS }) {
			r.Address = netip.AddrPort{} // it is found by its serial, also when the router gives it another address
		}
		g.registers = append(g.registers, r)
		g.terminals = append(g.terminals, wire.Terminal{ID: r.Terminal, Name: till})
		return nil
	}
}

// search lists the registers that answer now.
func (g *guide) search() []discovery.Found {
	g.say("searching", nil)
	found, err := agent.Discover(g.cmd.Context(), g.interfaces, nil, 4*time.Second)
	if err != nil {
		g.say("trouble", texts.Args{"detail": err.Error()})
	}
	for n, f := range found {
		fmt.Fprintf(g.out, "%d  %-9s %-21s %s\n", n+1, f.Protocol, f.Addr, f.Name)
	}
	if len(found) == 0 {
		g.say("none", nil)
	}
	return found
}

// described asks which register, and for its secrets. One that was still off when
// the others were found is looked for again.
func (g *guide) described(found *[]discovery.Found) (r wire.Register, err error) {
	n := strconv.Itoa(len(g.registers) + 1)
	r = wire.Register{ID: "kassa-" + n, Terminal: "till-" + n, Mode: wire.ModeActive}
	for !r.Address.IsValid() {
		otherwise := "0"
		if len(*found) > 0 {
			otherwise = "1"
		}
		answer, err := g.ask("which", otherwise, nil)
		if err != nil {
			return r, err
		}
		if k, err := strconv.Atoi(answer); err == nil && k >= 1 && k <= len(*found) {
			r.Driver, r.Address = (*found)[k-1].Protocol, (*found)[k-1].Addr
		} else if a, err := netip.ParseAddrPort(answer); err == nil && a.Port() != 0 {
			r.Address = a
		} else if answer == "0" {
			*found = g.search()
		} else {
			g.say("address", nil)
		}
	}
	if r.Driver == "" {
		makers := []string{wire.DriverAzSmart, wire.DriverOmnitech, wire.DriverCaspos}
		fmt.Fprintln(g.out, "1 AzSmart   2 Omnitech   3 Caspos")
		k, err := g.choose("maker", len(makers), 1)
		if err != nil {
			return r, err
		}
		r.Driver = makers[k-1]
	}
	secret := func(key string, into *wire.Secret) {
		if err == nil {
			var text string
			text, err = g.ask(key, "", nil)
			*into = wire.Secret(text)
		}
	}
	if r.Driver == wire.DriverAzSmart {
		secret("merchant_id", &r.MerchantID)
	} else {
		secret("username", &r.Username)
		secret("password", &r.Password)
	}
	return r, err
}

// write puts everything down, the configuration last: with it the agent works.
func (g *guide) write(before config.Config, manager, cloud, code string) error {
	var y strings.Builder
	fmt.Fprintf(&y, "# Written by ekassa-agent setup. To change it: see the README, then restart the agent.\ndata_dir: %q\nlisten: %q\n", before.DataDir, before.Listen)
	if len(g.interfaces) > 0 {
		fmt.Fprintf(&y, "discovery: {interfaces: [%s]}\n", strings.Join(g.interfaces, ", "))
	}
	fmt.Fprintf(&y, "settings:\n  module: {enabled: true, show_on_terminal: true, auto_send: true}\n  tax: {type: vat18}\n  registers:\n")
	for _, r := range g.registers {
		fmt.Fprintf(&y, "    - {id: %s, name: %q, driver: %s, serial: %q, terminal: %s, mode: active", r.ID, r.Name, r.Driver, r.Serial, r.Terminal)
		if r.Address.IsValid() {
			fmt.Fprintf(&y, ", address: %q", r.Address)
		}
		for _, s := range []struct {
			key   string
			value wire.Secret
		}{{"merchant_id", r.MerchantID}, {"username", r.Username}, {"password", r.Password}} {
			if s.value != "" {
				fmt.Fprintf(&y, ", %s: %q", s.key, s.value.Reveal())
			}
		}
		y.WriteString("}\n")
	}
	y.WriteString("  terminals:\n")
	for _, t := range g.terminals {
		fmt.Fprintf(&y, "    - {id: %s, name: %q}\n", t.ID, t.Name)
	}
	fmt.Fprintf(&y, "  shift: {auto_open: true}\n  timezone: Asia/Baku\n  language: %s\n", g.lang)
	if _, err := config.Parse([]byte(y.String())); err != nil {
		return fmt.Errorf("set up: the answers do not make a configuration; nothing was written: %w", err)
	}
	if err := os.MkdirAll(before.DataDir, 0o700); err != nil {
		return fmt.Errorf("set up: make the data folder: %w", err)
	}
	put := durable.Rewrite
	if _, err := os.Stat(g.path); errors.Is(err, fs.ErrNotExist) {
		put = durable.Replace
	}
	if err := put(g.path, []byte(y.String())); err != nil {
		return fmt.Errorf("set up: write %s: %w", g.path, err)
	}
	g.say("written", texts.Args{"file": g.path})
	tokens := token.Open(before.DataDir)
	for _, t := range g.terminals {
		secret, err := tokens.Add(t.ID)
		if err != nil {
			return err
		}
		g.say("token", texts.Args{"till": t.Name, "token": secret})
		if err := g.draw(secret); err != nil {
			return err
		}
	}
	if manager != "" {
		pin, err := people.Open(before.DataDir).Add(manager, people.Manager)
		if err != nil {
			return err
		}
		g.say("pin", texts.Args{"name": manager, "pin": pin})
	}
	if cloud != "" {
		cfg, err := config.Load(g.path)
		if err != nil {
			return err
		}
		id, err := agent.Enroll(g.cmd.Context(), cfg, g.path, cloud, code, nil)
		if err != nil { // all else stands: this can be done again
			g.say("not_enrolled", texts.Args{"detail": err.Error()})
		} else {
			g.say("enrolled", texts.Args{"agent": id})
		}
	}
	g.say("done", texts.Args{"page": pageOf(before.Listen)})
	return nil
}

// pageOf is where a browser finds the staff page.
func pageOf(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err == nil && host == "0.0.0.0" {
		if name, err := os.Hostname(); err == nil {
			return "http://" + net.JoinHostPort(name+".local", port)
		}
	}
	return "http://" + listen
}

// draw shows a text as a QR code, two modules in each character.
func (g *guide) draw(text string) error {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return fmt.Errorf("draw a QR code: %w", err)
	}
	const quiet = 2
	for y := -quiet; y < code.Size+quiet; y += 2 {
		var line strings.Builder
		for x := -quiet; x < code.Size+quiet; x++ {
			switch upper, lower := code.Black(x, y), code.Black(x, y+1); {
			case upper && lower:
				line.WriteRune(' ')
			case upper:
				line.WriteRune('▄')
			case lower:
				line.WriteRune('▀')
			default:
				line.WriteRune('█')
			}
		}
		fmt.Fprintln(g.out, line.String())
	}
	return nil
}
