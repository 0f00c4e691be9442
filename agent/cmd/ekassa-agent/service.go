package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/kardianos/service"
	"github.com/spf13/cobra"

	"ekassa/agent"
	"ekassa/agent/config"
	"ekassa/agent/durable"
	"ekassa/systemd"
)

// serviceName is also the unit's.
const serviceName = "ekassa-agent"

// socketFile is the unit of the service's socket, beside its own.
const socketFile = "/etc/systemd/system/" + serviceName + ".socket"

// program is what a service manager starts and stops: work, until its context
// ends.
type program struct {
	work func(context.Context) error

	cancel context.CancelFunc
	ended  chan struct{}
	err    error // of work; read after ended
}

// Start implements service.Interface.
func (p *program) Start(service.Service) error {
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(context.Background())
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		p.err = p.work(ctx)
	}()
	return nil
}

// Stop implements service.Interface. Its error is the exit code.
func (p *program) Stop(service.Service) error {
	p.cancel()
	<-p.ended
	return p.err
}

// serve does the work for whoever started the program: a person, systemd, or
// the service manager of Windows. It ends with ctx, or with the work.
func serve(ctx context.Context, work func(context.Context) error) error {
	p := &program{work: work}
	s, err := service.New(p, &service.Config{Name: serviceName, Option: service.KeyValue{
		// Without it the process outlives work that has failed.
		"RunWait": func() {
			select {
			case <-ctx.Done():
			case <-p.ended:
			}
		},
	}})
	if err != nil {
		return fmt.Errorf("speak to the service manager: %w", err)
	}
	return s.Run()
}

// tell has systemd know when tills are served, and that the program lives. Where
// there is no systemd nothing happens.
func tell(o *agent.Options) {
	say := func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			o.Log.Warn("systemd was not told", "state", state, "error", err)
		}
	}
	o.Ready = func(addr string) { say(daemon.SdNotifyReady + "\nSTATUS=serving tills on " + addr) }
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		o.Log.Warn("the watchdog is not fed: systemd's word for it cannot be read", "error", err)
	}
	o.Watchdog = agent.Watchdog{Every: limit / 3, Feed: func() { say(daemon.SdNotifyWatchdog) }}
}

// unit is what is told to systemd: ours, with this program and this
// configuration in it.
func unit(program, config string) string {
	quote := func(s string) string {
		if strings.ContainsAny(s, " \"'\\%$") {
			return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`, `$`, `$$`).Replace(s) + `"`
		}
		return s
	}
	return strings.Replace(systemd.AgentUnit, "ExecStart="+systemd.AgentProgram+" run --config "+systemd.AgentConfig,
		"ExecStart="+quote(program)+" run --config "+quote(config), 1)
}

// asService is the service as its manager is told of it.
func asService(config string) (service.Service, error) {
	c := &service.Config{
		Name: serviceName, DisplayName: "ekassa agent",
		Description: "Brings receipts to the fiscal register, each exactly once",
		Arguments:   []string{"run", "--config", config},
		Option: service.KeyValue{
			"OnFailure": "restart", "OnFailureDelayDuration": "2s", "DelayedAutoStart": false, // Windows
		},
	}
	if runtime.GOOS == "linux" {
		path, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program's own file: %w", err)
		}
		c.Option["SystemdScript"] = unit(path, config)
	}
	s, err := service.New(&program{}, c)
	if err != nil {
		return nil, fmt.Errorf("speak to the service manager: %w", err)
	}
	return s, nil
}

// defaultConfig is where the configuration of a service lies.
func defaultConfig() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("ProgramData"), serviceName, "agent.yaml")
	}
	return systemd.AgentConfig
}

func services() []*cobra.Command {
	install := &cobra.Command{
		Use:   "install [--config FILE]",
		Short: "Make the agent a service that starts with the machine",
		Long: `Make the agent a service that starts with the machine, and start it. Where it is one already, it is
installed anew; the journal and the configuration stay. A configuration that is not there yet is
written: it sends nothing anywhere until it is set up, on its page or by ekassa-agent setup.`,
		Example: "  sudo ekassa-agent install",
		Args:    cobra.NoArgs,
	}
	path := install.Flags().String("config", defaultConfig(), "the agent's configuration")
	install.RunE = func(cmd *cobra.Command, _ []string) error { return installService(cmd, *path) }

	command := func(name, short string, do func(service.Service) error) *cobra.Command {
		return &cobra.Command{
			Use: name, Short: short, Example: "  sudo ekassa-agent " + name, Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				s, err := asService(defaultConfig())
				if err != nil {
					return err
				}
				if err := do(s); err != nil {
					return fmt.Errorf("%s the service %s: %w; is it installed, and are you root?", name, serviceName, err)
				}
				return nil
			},
		}
	}
	status := &cobra.Command{
		Use: "status", Short: "Say whether the service runs", Example: "  ekassa-agent status", Args: cobra.NoArgs,
		Long: "Say whether the service runs: prints running, stopped, failed or not installed. Exit code 0 only where it runs.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := asService(defaultConfig())
			if err != nil {
				return err
			}
			word, err := standing(s)
			if err != nil {
				return fmt.Errorf("ask the service manager: %w", err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), word)
			if word != "running" {
				return errShown
			}
			return nil
		},
	}
	return []*cobra.Command{
		install,
		command("uninstall", "Stop the service and take it away; journal and configuration stay", func(s service.Service) error {
			if word, err := standing(s); err == nil && word == "running" {
				if err := s.Stop(); err != nil {
					return err
				}
			}
			if err := os.Remove(socketFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return s.Uninstall()
		}),
		command("start", "Start the service", service.Service.Start),
		command("stop", "Stop the service; what is on its way to a register is finished first", service.Service.Stop),
		command("restart", "Stop the service and start it", service.Service.Restart),
		status,
	}
}

func standing(s service.Service) (string, error) {
	now, err := s.Status()
	switch {
	case errors.Is(err, service.ErrNotInstalled):
		return "not installed", nil
	case err != nil && strings.Contains(err.Error(), "failed state"): // systemd's word, without an error of its own
		return "failed", nil
	case err != nil:
		return "", err
	case now == service.StatusRunning:
		return "running", nil
	}
	return "stopped", nil
}

func installService(cmd *cobra.Command, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("install: find %s: %w", path, err)
	}
	s, err := asService(path)
	if err != nil {
		return err
	}
	if runtime.GOOS == "linux" && s.Platform() != "linux-systemd" {
		return fmt.Errorf("install the service: this machine is run by %s and not by systemd; start \"ekassa-agent run --config %s\" from there", s.Platform(), path)
	}
	if err := addUser(); err != nil {
		return fmt.Errorf("install the service: %w", err)
	}
	if err := firstConfig(path); err != nil {
		return fmt.Errorf("install the service: %w", err)
	}
	if _, err := config.Load(path); err != nil {
		return fmt.Errorf("install the service: %w", err)
	}
	if word, err := standing(s); err == nil && word != "not installed" {
		if err := s.Uninstall(); err != nil {
			return fmt.Errorf("install the service: take the present one away: %w", err)
		}
	}
	if runtime.GOOS == "linux" {
		if err := os.WriteFile(socketFile, []byte(systemd.AgentSocket), 0o644); err != nil {
			return fmt.Errorf("install the service: %w; are you root?", err)
		}
	}
	if err := s.Install(); err != nil {
		return fmt.Errorf("install the service: %w; are you root?", err)
	}
	if err := s.Restart(); err != nil {
		return fmt.Errorf("the service is installed and does not start: %w; see \"journalctl -u %s\"", err, serviceName)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "installed and started: %s run --config %s\n", serviceName, path)
	return nil
}

// addUser makes the user that the unit names, where there are such.
func addUser() error {
	if runtime.GOOS != "linux" {
		return nil
	}
	c := exec.Command("systemd-sysusers", "-")
	c.Stdin = strings.NewReader(systemd.AgentUsers)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("make the user %s: %w: %s", systemd.AgentUser, err, bytes.TrimSpace(out))
	}
	return nil
}

// firstConfig writes the configuration, unless there is one.
func firstConfig(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := systemd.AgentSettings
	if runtime.GOOS == "windows" {
		text = strings.Replace(text, "data_dir: /var/lib/ekassa-agent", "data_dir: data", 1)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	if err := durable.Replace(path, []byte(text)); err != nil {
		return err
	}
	return readable(path)
}
