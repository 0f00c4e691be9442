package journal

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// crashDir, in the environment, turns the test's binary into a writer that
// tells each id once it may.
const crashDir = "EKASSA_TEST_JOURNAL"

func writeUntilKilled(dir string) {
	j, err := Open(dir, time.Now)
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			name := fmt.Sprint("kassa-", g)
			// What the last one had on its way is proven first, as the agent would.
			if _, a, err := j.Unfinished(name); err == nil {
				if err := j.Conclude(a, made(fmt.Sprint("found-", a.Seq))); err != nil {
					fmt.Println("failed", err)
				}
			}
			for n := 0; ; n++ {
				id := fmt.Sprintf("%d-%d-%d", os.Getpid(), g, n)
				if err := journey(j, id, name); err != nil {
					fmt.Println("failed", err)
					os.Exit(1)
				}
				fmt.Println("fiscal", id)
			}
		})
	}
	all.Wait()
}

// journey takes one receipt all the way, and says when it is told yes.
func journey(j *Journal, id, name string) error {
	r, f, err := receipt.Decode([]byte(body(id, "sale", "")), receipt.Defaults{Fiscal: true, Tax: receipt.Tax{Type: receipt.VAT18}})
	if err != nil {
		return err
	}
	s, _, err := j.Accept("till-1", name, r, f)
	if err != nil {
		return err
	}
	fmt.Println("accepted", id)
	a := attempt(s)
	if err := j.Begin(a); err != nil {
		return err
	}
	return j.Conclude(a, register.Conclusion{State: receipt.Fiscal, Proof: register.ProofMade, Document: document("fiscal-" + id)})
}

func TestJournal_KeepsEveryYesWhenItsProcessIsKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	accepted, fiscal := map[string]bool{}, map[string]bool{}
	const rounds = 20
	for range rounds {
		writer := exec.Command(os.Args[0])
		writer.Env = append(os.Environ(), crashDir+"="+dir)
		out, err := writer.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		// Killed in the middle of whatever it does after some answers.
		last := 1 + random.IntN(60)
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var what, id string
			fmt.Sscan(lines.Text(), &what, &id)
			switch what {
			case "accepted":
				accepted[id] = true
			case "fiscal":
				fiscal[id] = true
			default:
				t.Fatal(lines.Text())
			}
			if n == last {
				if err := writer.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := writer.Wait(); err == nil {
			t.Fatal("it ended by itself")
		}
		j, err := Open(dir, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if !j.Unclean() {
			t.Error("the stop counts as a clean one")
		}
		var verdict string
		if err := j.read.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
			t.Errorf("integrity_check: %s, %v", verdict, err)
		}
		there := states(t, j)
		for id := range accepted {
			if s := there[id]; s == "" || fiscal[id] && s != receipt.Fiscal {
				t.Errorf("%s was told yes, fiscal %v, and is %q", id, fiscal[id], s)
			}
		}
		if n := count(t, j, `SELECT count(*) FROM life WHERE (state = 'fiscal') <> (seq IN (SELECT seq FROM document))`); n != 0 {
			t.Errorf("%d receipts are half done", n)
		}
		if n, most := count(t, j, `SELECT count(*) FROM record`), count(t, j, `SELECT max(seq) FROM record`); n != most {
			t.Errorf("%d records, numbered up to %d", n, most)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(accepted) < rounds || len(fiscal) == 0 {
		t.Errorf("only %d accepted, %d fiscal", len(accepted), len(fiscal))
	}
}

func states(t *testing.T, j *Journal) map[string]receipt.State {
	t.Helper()
	rows, err := j.read.Query(`SELECT r.id, l.state FROM receipt r JOIN life l USING (seq)`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := map[string]receipt.State{}
	for rows.Next() {
		var id string
		var s receipt.State
		if err := rows.Scan(&id, &s); err != nil {
			t.Fatal(err)
		}
		all[id] = s
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
