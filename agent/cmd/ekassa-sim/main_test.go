package main

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ekassa/agent/register/simulator"
)

var program string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "ekassa-sim")
	if err == nil {
		program = filepath.Join(folder, "ekassa-sim")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { os.RemoveAll(folder); os.Exit(code) }))
}

// run starts the real program as an AzSmart register and returns its address once
// it listens.
func run(t *testing.T, args ...string) (*exec.Cmd, string) {
	t.Helper()
	return runAs(t, "azsmart", `edition (?:new|classic), serial \S+`, args...)
}

// runAs is run for any maker; said is what the program says about itself.
func runAs(t *testing.T, protocol, said string, args ...string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(program, append([]string{protocol, "--listen", "127.0.0.1:0"}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	m := regexp.MustCompile(`^ekassa-sim ` + protocol + ` listening on (127\.0\.0\.1:\d+) \(` + said + `\)\n$`).FindStringSubmatch(line)
	if err != nil || m == nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Fatalf("%q %v %s", line, err, errs.String())
	}
	return cmd, "http://" + m[1]
}

func post(base, route, js string) (map[string]any, error) {
	data := base64.StdEncoding.EncodeToString([]byte(js))
	sign := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%x", sha1.Sum([]byte(data+simulator.DefaultMerchantID))))
	resp, err := client.PostForm(base+route, url.Values{"data": {data}, "sign": {sign}})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var out map[string]any
	return out, json.NewDecoder(resp.Body).Decode(&out)
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

func sale(key string) string {
	return `{"documentExtID":"` + key + `","amount":100,"items":[{"itemId":"1","itemName":"Çay","itemQty":1000,"itemAmount":100,` +
		`"itemTaxes":[{"taxName":"ƏDV 18%","taxPrc":1800}]}],"payments":{"cashAmount":100}}`
}

// TestKill_LosesNoAnsweredDocument kills the program in the middle of a stream of
// sales and finds every answered one in the next life's ledger, once.
func TestKill_LosesNoAnsweredDocument(t *testing.T) {
	state := filepath.Join(t.TempDir(), "kassa.jsonl")
	told := map[string]string{}
	next := 0
	for life := range 4 {
		cmd, base := run(t, "--state", state)
		if life == 0 {
			if _, err := post(base, "/open_shift", "{}"); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		var senders sync.WaitGroup
		stop := make(chan struct{})
		for range 4 {
			senders.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					mu.Lock()
					next++
					key := fmt.Sprint("k", next)
					mu.Unlock()
					out, err := post(base, "/sale", sale(key))
					if err == nil && out["status"] == "success" {
						mu.Lock()
						told[key] = out["fiscalID"].(string)
						mu.Unlock()
					}
				}
			})
		}
		for {
			mu.Lock()
			enough := len(told) >= (life+1)*15
			mu.Unlock()
			if enough {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		close(stop)
		senders.Wait()
		_ = cmd.Wait()
	}
	_, base := run(t, "--state", state)
	resp, err := client.Get(base + "/sim/ledger")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var docs []simulator.Document
	if err := json.NewDecoder(resp.Body).Decode(&docs); err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for i, d := range docs {
		if have[d.Client.Key] != "" || d.Number != int64(i+1) {
			t.Errorf("document %d: key %s, number %d", i, d.Client.Key, d.Number)
		}
		have[d.Client.Key] = d.FiscalID
	}
	for key, id := range told {
		if have[key] != id {
			t.Errorf("%s was answered with %s, the ledger has %q", key, id, have[key])
		}
	}
	for key := range told {
		if out, err := post(base, "/sale", sale(key)); err != nil || out["fiscalID"] != told[key] {
			t.Errorf("%s again: %v %v", key, out, err)
		}
		break
	}
}

func TestTerm_EndsCleanly(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd, _ := run(t, "--mdns", "--edition", "classic", "--serial", "X1")
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", sig, err)
		}
	}
}

func TestErrors_AreOneLineAndExit1(t *testing.T) {
	damaged := filepath.Join(t.TempDir(), "kassa.jsonl")
	if err := os.WriteFile(damaged, []byte("not a ledger\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{},
		{"nothing"},
		{"azsmart", "surplus"},
		{"azsmart", "--no-such-flag"},
		{"azsmart", "--edition", "newest"},
		{"azsmart", "--quirk", "none"},
		{"azsmart", "--faults", "explode"},
		{"azsmart", "--listen", "300.0.0.1:1"},
		{"azsmart", "--listen", "127.0.0.1:0", "--state", damaged},
		{"azsmart", "--listen", "127.0.0.1:0", "--state", "/no/such/folder/x"},
		{"azsmart", "--listen", "0.0.0.0:0", "--mdns"},
	} {
		var out, errs bytes.Buffer
		cmd := exec.Command(program, args...)
		cmd.Stdout, cmd.Stderr = &out, &errs
		err := cmd.Run()
		got := errs.String()
		if cmd.ProcessState.ExitCode() != 1 || strings.Count(got, "\n") != 1 || out.Len() > 0 || got != strings.ToLower(got[:11])+got[11:] {
			t.Errorf("%v: %v, stdout %q, stderr %q", args, err, out.String(), got)
		}
	}
}

func TestHelp_HasAnExample(t *testing.T) {
	out, err := exec.Command(program, "azsmart", "--help").Output()
	if err != nil || !bytes.Contains(out, []byte("Examples:")) || !bytes.Contains(out, []byte("strict-form")) {
		t.Errorf("%v %s", err, out)
	}
}
