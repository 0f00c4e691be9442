package agent

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"ekassa/agent/config"
	"ekassa/agent/journal"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/cloud/wire"
)

const aboutExport = `What an ekassa agent knows, for whoever has to look into a question.

receipts.jsonl  each receipt that anything became of in the time: what the till sent, its states, every attempt
                at the register with what was sent, and what was learned of it; one a line
reports.jsonl   X and Z reports: figures, what they were held against, and the register's own answer
acts.jsonl      what people did on the staff page
versions.json   of the program, the journal's schema and the registers; when, of which time, on which machine
settings.json   of agent.yaml; secrets are masked
doctor.json     what ekassa-agent doctor found
log.txt         the agent's log of the time, or why it is not here; secrets are masked
journal.db      the whole journal as of one moment, SQLite; where no time was given
SHA256SUMS      of all of these

There is no Merchant ID, password, token or PIN in here. There are cashiers' names and what was sold.
`

// Evidence says what of an agent's knowledge is wanted.
type Evidence struct {
	From, To time.Time // zero: open; both: the whole journal comes along
	Log      string    // file with the agent's log; "": the system's journal has it
	Version  string    // of the program
}

// Export writes a bundle of evidence to a new .zip file: receipts with their
// attempts, reports, acts, versions, settings with their secrets masked, the log,
// and what the doctor finds. It may run beside a running agent. Where it fails,
// no file is left.
func Export(ctx context.Context, cfg config.Config, e Evidence, out string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("export to %s: %w", out, err)
		}
	}()
	if filepath.Ext(out) != ".zip" {
		return errors.New("it becomes a zip file; choose a name that ends in .zip")
	}
	if !e.From.IsZero() && !e.To.IsZero() && !e.From.Before(e.To) {
		return fmt.Errorf("it would be from %s to %s, which is no time; change --from or --to", e.From.Format(time.RFC3339), e.To.Format(time.RFC3339))
	}
	if e.Log != "" {
		if _, err := os.Stat(e.Log); err != nil {
			return fmt.Errorf("%w; name the log's file with --log, or leave that out", err)
		}
	}
	folder, err := os.MkdirTemp(filepath.Dir(out), ".export-*")
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no folder %s; make it, or name another", filepath.Dir(out))
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	copied := filepath.Join(folder, "journal.db")
	if err := journal.Backup(cfg.DataDir, copied); err != nil {
		return err
	}
	file, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return errors.New("it is there already; choose another name")
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(out))
		}
	}()
	b := &bundle{files: zip.NewWriter(file), at: time.Now().UTC().Truncate(time.Second)}
	if err := b.fill(ctx, cfg, e, copied); err != nil {
		return errors.Join(err, file.Close())
	}
	return errors.Join(b.files.Close(), file.Sync(), file.Close())
}

// bundle is a zip file that is being written, with the sums of what is in it.
type bundle struct {
	files *zip.Writer
	at    time.Time
	sums  string
}

func (b *bundle) fill(ctx context.Context, cfg config.Config, e Evidence, copied string) (err error) {
	j, err := journal.OpenCopy(copied)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	stands, err := j.Versions()
	if err != nil {
		return err
	}
	log := agentLog(ctx, e)
	steps := []func() error{
		func() error { return b.text("README.txt", []byte(aboutExport)) },
		func() error {
			return b.json("versions.json", map[string]any{
				"time": b.at, "from": e.From, "to": e.To, "program": e.Version, "go": runtime.Version(), "system": runtime.GOOS + "/" + runtime.GOARCH,
				"host": host, "data_dir": cfg.DataDir, "listen": cfg.Listen, "cloud": cfg.Cloud, "journal": stands,
			})
		},
		func() error { return b.json("settings.json", cfg.Settings.Masked()) },
		func() error {
			found, _ := Doctor(ctx, cfg, "en") // support reads it
			return b.json("doctor.json", found)
		},
		func() error {
			return b.lines("receipts.jsonl", func(put func(any) error) error {
				return j.Receipts(e.From, e.To, func(h journal.History) error { return put(h) })
			})
		},
		func() error {
			return b.lines("reports.jsonl", func(put func(any) error) error {
				return j.Reports(e.From, e.To, func(r register.Reported) error {
					return put(struct {
						register.Reported
						Raw string `json:"raw"`
					}{r, string(r.Report.Raw)})
				})
			})
		},
		func() error {
			return b.lines("acts.jsonl", func(put func(any) error) error {
				return j.Acts(e.From, e.To, func(a receipt.Act) error { return put(a) })
			})
		},
		func() error { return b.text("log.txt", masked(log, cfg)) },
	}
	if e.From.IsZero() && e.To.IsZero() {
		steps = append(steps, func() error { return b.file("journal.db", copied) })
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return b.text("SHA256SUMS", []byte(b.sums))
}

// add writes one file of the bundle.
func (b *bundle) add(name string, write func(io.Writer) error) error {
	w, err := b.files.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: b.at})
	if err != nil {
		return err
	}
	sum := sha256.New()
	if err := write(io.MultiWriter(w, sum)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	b.sums += fmt.Sprintf("%x  %s\n", sum.Sum(nil), name)
	return nil
}

func (b *bundle) text(name string, text []byte) error {
	return b.add(name, func(w io.Writer) error { _, err := w.Write(text); return err })
}

func (b *bundle) json(name string, v any) error {
	return b.add(name, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(v)
	})
}

func (b *bundle) lines(name string, all func(put func(any) error) error) error {
	return b.add(name, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return all(e.Encode)
	})
}

func (b *bundle) file(name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return b.add(name, func(w io.Writer) error { _, err := io.Copy(w, f); return err })
}

// maxLog is how much of the log's end is taken along, in bytes.
const maxLog = 16 << 20

// agentLog gives the agent's log of the time, or says why there is none.
func agentLog(ctx context.Context, e Evidence) []byte {
	text, err := func() ([]byte, error) {
		if e.Log != "" {
			return os.ReadFile(e.Log)
		}
		args := []string{"--unit=ekassa-agent.service", "--no-pager", "--quiet", "--output=short-iso-precise", "--lines=100000"}
		for flag, t := range map[string]time.Time{"--since=": e.From, "--until=": e.To} {
			if !t.IsZero() {
				args = append(args, fmt.Sprintf("%s@%d", flag, t.Unix()))
			}
		}
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		return exec.CommandContext(ctx, "journalctl", args...).Output()
	}()
	switch {
	case err != nil:
		return fmt.Appendf(nil, "the agent's log cannot be read: %v; name its file with --log\n", err)
	case len(text) == 0:
		return []byte("the system's journal has nothing of ekassa-agent.service of that time; name the log's file with --log\n")
	}
	return text[max(0, len(text)-maxLog):]
}

// masked puts *** where a secret of the settings stands. Logs of ours have none;
// what a register or a library says may.
func masked(text []byte, cfg config.Config) []byte {
	all, err := everSet(cfg)
	if err != nil {
		return fmt.Appendf(nil, "the agent's log is left out, since nobody knows which secrets may be in it: %v\n", err)
	}
	for _, s := range all {
		for _, r := range s.Registers {
			for _, secret := range []string{r.MerchantID.Reveal(), r.Password.Reveal()} {
				if len(secret) > 3 { // what is shorter is a word, and hides nothing
					text = bytes.ReplaceAll(text, []byte(secret), []byte("***"))
				}
			}
		}
	}
	return text
}

// everSet are the settings of agent.yaml, and those that the cloud has pushed and
// that are still known.
func everSet(cfg config.Config) ([]wire.Settings, error) {
	var p pushed
	if _, err := p.load(filepath.Join(cfg.DataDir, settingsFile), cfg.Settings); err != nil {
		return nil, err
	}
	all, kept := []wire.Settings{cfg.Settings}, []json.RawMessage{p.Settings}
	if p.Trial != nil {
		kept = append(kept, p.Trial.Settings)
	}
	for _, data := range kept {
		if len(data) == 0 {
			continue
		}
		s, err := wire.ParseSettings(data)
		if err != nil {
			return nil, fmt.Errorf("read the pushed settings: %w", err)
		}
		all = append(all, s)
	}
	return all, nil
}

// EvidenceTime reads the beginning or end of a time: a day, which begins at its
// first second in the shop's zone, or a moment.
func EvidenceTime(cfg config.Config, text string) (time.Time, error) {
	if strings.TrimSpace(text) == "" {
		return time.Time{}, nil
	}
	zone, err := cfg.Settings.Location()
	if err != nil {
		return time.Time{}, fmt.Errorf("load the time zone: %w", err)
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("read the time %q: it is none; write it as 2026-11-24, \"2026-11-24 18:30\" or 2026-11-24T18:30:00+04:00", text)
}
