package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ekassa/agent"
	"ekassa/agent/config"
	"ekassa/agent/durable"
	"ekassa/agent/qr"
	"ekassa/agent/setup"
	"ekassa/agent/texts"
	"ekassa/agent/training"
	"ekassa/cloud/wire"
)

func setUp() *cobra.Command {
	var interfaces []string
	var code bool
	cmd := &cobra.Command{
		Use:   "setup --config FILE",
		Short: "Be led through everything that a new agent needs, question by question",
		Long: `Be led through everything that a new agent needs, question by question, in
Azerbaijani, Russian or English: finds registers, tries each with its Merchant ID
or login before it is written down, remembers its serial number, makes the tills'
tokens and the first PIN of the staff page, connects to the cloud, and ends with a
test receipt: in training, where a register in software takes it and nothing reaches
the real one or the journal, or a real one.

Until the last question nothing is written. A configuration that has registers
already is left alone. What else stands in the file stays as it is.

The same is on the page of an agent that runs and has no registers yet. It asks for
a code, which is in the agent's log; --code makes another one.`,
		Example: "  sudo ekassa-agent setup --config /etc/ekassa-agent/agent.yaml\n" +
			"  sudo ekassa-agent setup --code --config /etc/ekassa-agent/agent.yaml",
		Args: cobra.NoArgs,
	}
	path := cmd.Flags().String("config", "", "the agent's configuration, agent.yaml; made where it is not there")
	cmd.Flags().StringArrayVar(&interfaces, "interface", nil, "network interface to look for registers on; may be repeated")
	cmd.Flags().BoolVar(&code, "code", false, "only make a code for the page of the first start, and print it alone on its line")
	if err := cmd.MarkFlagRequired("config"); err != nil {
		panic(err) // the flag stands some lines above
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if code {
			return anotherCode(cmd, *path)
		}
		g := &guide{cmd: cmd, in: bufio.NewScanner(cmd.InOrStdin()), out: cmd.OutOrStdout(), lang: texts.Languages[0], path: *path, interfaces: interfaces}
		return g.lead()
	}
	return cmd
}

// anotherCode makes one for the page of the first start.
func anotherCode(cmd *cobra.Command, path string) error {
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	if cfg.Cloud != nil || len(cfg.Settings.Registers)+len(cfg.Settings.Terminals) > 0 || config.Kept(cfg.DataDir) {
		return fmt.Errorf("make a code for the first start: %s is set up already; people sign in on its page with a PIN, see ekassa-agent pin", path)
	}
	code, err := setup.CodesIn(cfg.DataDir).New()
	if err != nil {
		return fmt.Errorf("%w; is the agent running, and are you root?", err)
	}
	fmt.Fprintln(cmd.OutOrStdout(), code)
	return nil
}

// errEnded: the answers ended before the questions.
var errEnded = errors.New("set up: the answers ended before the questions did; nothing was written; run it again in a terminal")

// guide leads an installer.
type guide struct {
	cmd        *cobra.Command
	in         *bufio.Scanner
	out        io.Writer
	lang       string
	path       string
	interfaces []string

	tools setup.Tools
	plan  setup.Plan
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

// list numbers the names that the texts have for some things.
func (g *guide) list(key string, names []string) {
	var line []string
	for n, name := range names {
		line = append(line, fmt.Sprintf("%d %s", n+1, texts.Say(g.lang, key+name, nil)))
	}
	fmt.Fprintln(g.out, strings.Join(line, "   "))
}

func (g *guide) lead() error {
	cfg, err := g.present()
	if err != nil {
		return err
	}
	if len(g.interfaces) > 0 {
		cfg.Discovery.Interfaces = g.interfaces
	}
	g.tools = agent.SetupTools(cfg)
	g.tools.Train = training.Run
	fmt.Fprintln(g.out, "1 Azərbaycanca   2 Русский   3 English")
	n, err := g.choose("language", len(texts.Languages), 1)
	if err != nil {
		return err
	}
	g.lang = texts.Languages[n-1]
	g.plan.Language = g.lang
	g.say("hello", nil)
	for {
		if err := g.register(); err != nil {
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
	g.list("setup.tax_", setup.Taxes)
	if n, err = g.choose("tax", len(setup.Taxes), 1); err != nil {
		return err
	}
	g.plan.Tax = setup.Taxes[n-1]
	where, err := g.choose("where", 2, 1)
	if err != nil {
		return err
	}
	if cfg.Listen, err = listenFor(cfg.Listen, where == 1); err != nil {
		return err
	}
	manager, err := g.ask("manager_later", "", nil)
	if err != nil {
		return err
	}
	cloud, err := g.ask("cloud_none", "", nil)
	if err != nil {
		return err
	}
	code := ""
	if cloud != "" {
		if code, err = g.ask("cloud_code", "", nil); err != nil {
			return err
		}
	}
	tills, err := g.write(cfg, manager)
	if err != nil {
		return err
	}
	if cloud != "" {
		g.enroll(cloud, code)
	}
	return g.begin(cfg, tills)
}

// listenFor is where the agent listens for tills on this machine alone, or on
// others too; what is there stays where it serves for that.
func listenFor(present string, here bool) (string, error) {
	a, err := netip.ParseAddrPort(present)
	if err != nil {
		return "", fmt.Errorf("set up: read listen %q: %w", present, err)
	}
	switch {
	case a.Addr().IsLoopback() == here:
		return present, nil
	case here:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port()).String(), nil
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), a.Port()).String(), nil
}

// present reads what is there. Where somebody has set registers, it is not ours
// to put others in their place.
func (g *guide) present() (config.Config, error) {
	if _, err := os.Stat(g.path); errors.Is(err, fs.ErrNotExist) {
		dir, err := filepath.Abs(filepath.Dir(g.path))
		if err != nil {
			return config.Config{}, err
		}
		return config.Config{DataDir: filepath.Join(dir, "data"), Listen: config.DefaultListen, Name: config.DefaultName}, nil
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
func (g *guide) register() error {
	found := g.search()
	for {
		at, err := g.place(&found)
		if err != nil {
			return err
		}
		var merchantID, username, password string
		if at.Driver == wire.DriverAzSmart {
			merchantID, err = g.ask("merchant_id", "", nil)
		} else if username, err = g.ask("username", "", nil); err == nil {
			password, err = g.ask("password", "", nil)
		}
		if err != nil {
			return err
		}
		g.say("trying", texts.Args{"address": at.Address.String()})
		tried, err := g.plan.Add(g.cmd.Context(), g.tools, at, merchantID, username, password)
		if err != nil {
			g.say("trouble", texts.Args{"detail": setup.Words(g.lang, err)})
			g.say("again", nil)
			continue
		}
		g.say("works", texts.Args{"serial": tried.Serial, "address": tried.Address})
		last := len(g.plan.Registers) - 1
		name, err := g.ask("name", g.plan.Registers[last].Name, nil)
		if err != nil {
			return err
		}
		till, err := g.ask("till", g.plan.Terminals[last].Name, nil)
		if err != nil {
			return err
		}
		g.plan.Name(last, name, till)
		if r := g.plan.Registers[last]; r.Mode != wire.ModeActive { // perhaps a name that was typed twice by mistake
			g.say("spare", texts.Args{"name": r.Name, "till": g.plan.Terminals[last].Name})
		}
		return nil
	}
}

// search lists the registers that answer now.
func (g *guide) search() []setup.Place {
	g.say("searching", nil)
	found, err := g.tools.Search(g.cmd.Context())
	if err != nil {
		g.say("trouble", texts.Args{"detail": err.Error()})
	}
	for n, f := range found {
		fmt.Fprintf(g.out, "%d  %-9s %-21s %s\n", n+1, f.Driver, f.Address, f.Name)
	}
	if len(found) == 0 {
		g.say("none", nil)
	}
	return found
}

// place asks which register. One that was still off when the others were found is
// looked for again.
func (g *guide) place(found *[]setup.Place) (at setup.Place, err error) {
	for !at.Address.IsValid() {
		otherwise := "0"
		if len(*found) > 0 {
			otherwise = "1"
		}
		answer, err := g.ask("which", otherwise, nil)
		if err != nil {
			return at, err
		}
		if k, err := strconv.Atoi(answer); err == nil && k >= 1 && k <= len(*found) {
			at = (*found)[k-1]
		} else if a, err := netip.ParseAddrPort(answer); err == nil && a.Port() != 0 {
			at.Address = a
		} else if answer == "0" {
			*found = g.search()
		} else {
			g.say("address", nil)
		}
	}
	if at.Driver == "" {
		g.list("setup.maker_", setup.Makers)
		k, err := g.choose("maker", len(setup.Makers), 1)
		if err != nil {
			return at, err
		}
		at.Driver = setup.Makers[k-1]
	}
	return at, nil
}

// write puts everything down, the configuration last: with it the agent works.
func (g *guide) write(cfg config.Config, manager string) ([]setup.Till, error) {
	settings, err := g.plan.Settings()
	if err != nil {
		return nil, fmt.Errorf("set up: the answers do not make settings; nothing was written: %w", err)
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("set up: make the data folder: %w", err)
	}
	tills, pin, err := g.plan.HandOut(cfg.DataDir, manager)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(g.path); errors.Is(err, fs.ErrNotExist) {
		text := fmt.Sprintf("# Written by ekassa-agent setup. To change it: see the README, then restart the agent.\ndata_dir: %q\nlisten: %q\n", cfg.DataDir, cfg.Listen)
		if err := durable.Replace(g.path, []byte(text)); err != nil {
			return nil, fmt.Errorf("set up: write %s: %w", g.path, err)
		}
	}
	if err := config.WriteSettings(g.path, cfg.Listen, g.interfaces, settings); err != nil {
		return nil, fmt.Errorf("set up: %w", err)
	}
	g.say("written", texts.Args{"file": g.path})
	for _, t := range tills {
		g.say("token", texts.Args{"till": t.Name, "token": t.Token})
		if err := qr.Blocks(g.out, t.Token); err != nil {
			return nil, err
		}
	}
	if pin != "" {
		g.say("pin", texts.Args{"name": manager, "pin": pin})
	}
	return tills, nil
}

// enroll connects to the cloud. That it fails changes nothing of the rest: it can
// be done again.
func (g *guide) enroll(cloud, code string) {
	given, err := g.tools.Enroll(g.cmd.Context(), cloud, code)
	if err == nil {
		err = config.WriteCloud(g.path, given)
	}
	if err != nil {
		g.say("not_enrolled", texts.Args{"detail": err.Error()})
		return
	}
	g.say("enrolled", texts.Args{"agent": given.AgentID})
}
