package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"ekassa/agent/till/replay"
)

// tokenVariable is where the token may stand instead of on the command line,
// which every user of the machine can read.
const tokenVariable = "EKASSA_TOKEN"

func sell() *cobra.Command {
	var till replay.Till
	var want replay.Selection
	var file string
	var parallel int
	cmd := &cobra.Command{
		Use:   "till --agent URL --receipts FILE",
		Short: "Be a till: sell the receipts of a file to an agent",
		Long: "Be a till: post the receipts of a file to an agent, one JSON object a line, in their order\n" +
			"and with their own ids; the same again after a lost answer. It ends with one line that counts\n" +
			"what became of them, and with exit code 1 where a receipt was not told yes, refused or held.",
		Example: "  " + tokenVariable + "=$(cat token) ekassa-sim till --agent http://127.0.0.1:8787 --receipts week.jsonl --limit 10\n" +
			"  ekassa-sim till --agent http://127.0.0.1:8787 --token TOKEN --receipts week.jsonl --day 2026-11-20 --prefix again-",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if till.Token == "" {
				till.Token = os.Getenv(tokenVariable)
			}
			if u, err := url.Parse(till.Agent); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
				return fmt.Errorf("sell: --agent is %q: write it as http://127.0.0.1:8787", till.Agent)
			}
			if till.Token == "" {
				return errors.New("sell: no token: give --token or " + tokenVariable + ", see ekassa-agent token add")
			}
			list, err := readFile(file, want)
			if err != nil {
				return err
			}
			out := progress(cmd.ErrOrStderr(), len(list))
			results := till.Evening(cmd.Context(), list, parallel, out.told)
			out.end()
			till.Settle(cmd.Context(), results, till.Wait)
			sum := replay.Sum(results)
			fmt.Fprintln(cmd.OutOrStdout(), sum)
			if !sum.Clean() {
				return fmt.Errorf("sell %s: %d not told yes, %d refused, %d held", file, sum.Receipts-sum.Told, sum.Refused, sum.Held)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&till.Agent, "agent", "http://127.0.0.1:8787", "where the agent is")
	f.StringVar(&till.Token, "token", "", "the till's token (default: the environment's "+tokenVariable+")")
	f.StringVar(&file, "receipts", "", "file of receipts, one JSON object a line; - is standard input")
	f.StringVar(&want.Day, "day", "", "only this business day, from 05:00 to 05:00, such as 2026-11-20")
	f.IntVar(&want.Limit, "limit", 0, "sell at most so many (default all)")
	f.StringVar(&want.Prefix, "prefix", "", "put this before every id, so that the same file can be sold again")
	f.IntVar(&parallel, "parallel", 1, "sell so many at a time; only 1 keeps the order")
	f.DurationVar(&till.Wait, "wait", replay.DefaultWait, "wait so long for a receipt's document, and at the end for those on their way")
	f.DurationVar(&till.Persist, "persist", replay.DefaultPersist, "after a lost answer send the same again for so long")
	if err := cmd.MarkFlagRequired("receipts"); err != nil {
		panic(err) // the flag stands above
	}
	return cmd
}

func readFile(path string, want replay.Selection) ([]replay.Receipt, error) {
	in := io.Reader(os.Stdin)
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read the receipts: %w", err)
		}
		defer f.Close()
		in = f
	}
	list, err := replay.Read(in, want)
	if err != nil {
		return nil, fmt.Errorf("read the receipts of %s: %w", path, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("read the receipts of %s: it has none that are wanted", path)
	}
	return list, nil
}

// meter shows how far the evening is: a bar on a terminal, else a line now and
// then.
type meter struct {
	out   io.Writer
	total int
	done  int
	last  time.Time
	bar   *progressbar.ProgressBar // nil: no terminal
}

const meterPause = 2 * time.Second

func progress(out io.Writer, total int) *meter {
	m := &meter{out: out, total: total, last: time.Now()}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		m.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription("selling"),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("receipts"),
			progressbar.OptionFullWidth(), progressbar.OptionThrottle(50*time.Millisecond))
	}
	return m
}

func (m *meter) told(r replay.Result) {
	m.done++
	if trouble := trouble(r); trouble != "" {
		if m.bar != nil {
			_ = m.bar.Clear()
		}
		fmt.Fprintf(m.out, "%s %s\n", r.Receipt.ID, strings.ReplaceAll(trouble, "\n", " "))
	}
	switch {
	case m.bar != nil:
		_ = m.bar.Set(m.done)
	case time.Since(m.last) >= meterPause:
		m.last = time.Now()
		fmt.Fprintf(m.out, "%d of %d sold\n", m.done, m.total)
	}
}

// trouble is what a cashier has to hear of.
func trouble(r replay.Result) string {
	switch {
	case r.Err != nil:
		return "was not told yes: " + r.Err.Error()
	case r.Answer.State == replay.Refused || r.Answer.State == replay.Held:
		return "is " + string(r.Answer.State) + ": " + r.Answer.Reason.Text
	}
	return ""
}

func (m *meter) end() {
	if m.bar != nil {
		fmt.Fprintln(m.out)
	}
}
