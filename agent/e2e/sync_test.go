package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A till is told yes only after the journal is on the disk: the kernel's own
// record of one POST. The receipt's bytes go into the write-ahead log, the log
// is synced, the sync has returned, and only then the first byte of the answer
// is written.
func TestYes_OnlyAfterTheSync(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("strace is missing: apt-get install strace")
	}
	s := newShop(t, at(newHost()+":8008")) // nobody there: the till is told yes all the same
	record := filepath.Join(t.TempDir(), "trace")
	// With -D the process that is started is the agent itself.
	p := start(t, strace, "-D", "-f", "-y", "-s", "1000000", "-o", record,
		"-e", "trace=read,write,writev,sendto,pwrite64,pwritev,pwritev2,fsync,fdatasync,sync_file_range",
		agentBinary, "run", "--config", s.file)
	p.says(&p.err, `msg=ready listen=(\S+)`)
	const id = "the-receipt-that-is-traced"
	s.till().Post("/v1/receipts", sale(id)).Want(http.StatusAccepted)
	if code, _ := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	text, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}

	var steps []string
	log := regexp.MustCompile(`journal\.db-wal>`)
	pid := regexp.MustCompile(`^(\d+) +`)
	open := map[string]string{} // thread → the call that has not returned
	said := map[string]bool{}
	step := func(name string) {
		if !said[name] {
			said[name] = true
			steps = append(steps, name)
		}
	}
	synced := "" // the thread whose sync of the log began after the receipt was written to it
	for _, line := range strings.Split(string(text), "\n") {
		m := pid.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		thread, call := m[1], line[len(m[0]):]
		begins := !strings.HasPrefix(call, "<...")
		if begins {
			open[thread] = call
		}
		returned := !strings.Contains(call, "<unfinished ...>")
		whole := open[thread] // of a call that is resumed, how it began
		isSync := strings.HasPrefix(whole, "fsync(") || strings.HasPrefix(whole, "fdatasync(")
		switch {
		case returned && strings.HasPrefix(whole, "pwrite64(") && log.MatchString(whole) && strings.Contains(whole, id):
			step("the receipt is in the log")
		case isSync && log.MatchString(whole) && begins && said["the receipt is in the log"] && synced == "":
			synced = thread
		}
		if isSync && returned && thread == synced && log.MatchString(whole) && strings.HasSuffix(strings.TrimSpace(call), "= 0") {
			step("the sync has returned")
		}
		if begins && strings.HasPrefix(call, "write(") && strings.Contains(call, "HTTP/1.1 202") {
			step("yes")
		}
	}
	if got, want := strings.Join(steps, ", "), "the receipt is in the log, the sync has returned, yes"; got != want {
		t.Errorf("the kernel saw %q, want %q", got, want)
		for _, line := range strings.Split(string(text), "\n") {
			if strings.Contains(line, "journal.db-wal") || strings.Contains(line, "HTTP/1.1") || strings.Contains(line, "sync") {
				t.Log(line[:min(len(line), 160)])
			}
		}
	}
}
