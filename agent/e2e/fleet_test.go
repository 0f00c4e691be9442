package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ekassa/agent/register/simulator"
	"ekassa/cloud/store/storetest"
	"ekassa/cloud/wire"
)

// realCloud is the real cloud: the program, with its own broker and database, or
// those of real use.
type realCloud struct {
	testing.TB
	file, listen string
	broker       string // where agents go
	token        string
	process      *process

	database  *storetest.Cluster // nil: its own
	mosquitto *process           // nil: its own
	conf      string             // of that
}

func newCloud(t testing.TB) *realCloud {
	t.Helper()
	f := &realCloud{TB: t, file: filepath.Join(t.TempDir(), "cloud.yaml"), listen: newHost() + ":8788"}
	at := newHost() + ":1883"
	f.broker = "mqtt://" + at
	f.configure("sqlite", fmt.Sprintf("{embedded: %q}", at))
	return f.open()
}

// newCloudInUse has PostgreSQL and Mosquitto, as the README has it for real use.
func newCloudInUse(t testing.TB) *realCloud {
	t.Helper()
	dir := t.TempDir()
	f := &realCloud{TB: t, file: filepath.Join(dir, "cloud.yaml"), listen: newHost() + ":8788", database: storetest.MustPostgres(t)}
	url, host := f.database.Database(), newHost()
	f.broker, f.conf = "mqtts://"+host+":8883", filepath.Join(dir, "mosquitto.conf")
	f.configure(url, fmt.Sprintf("{url: %q}", f.broker))
	command(t, cloudBinary, "mosquitto", "--host", host, "--dir", dir, "--config", f.file).ok(t)
	f.configure(url, fmt.Sprintf("{url: %q, ca: ca.pem, cert: cloud-1.pem, key: cloud-1.key}", f.broker))
	text, err := os.ReadFile(f.conf)
	if err == nil { // as root it would give its rights up, and could not read its key in a test's folder
		err = os.WriteFile(f.conf, []byte("user root\n"+strings.Replace(string(text), "listener 8883", "listener 8883 "+host, 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.broke()
	return f.open()
}

// broke starts Mosquitto.
func (f *realCloud) broke() {
	f.Helper()
	f.mosquitto = start(f, "mosquitto", "-c", f.conf)
	eventually(f, "Mosquitto listens", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(f.broker, "mqtts://"))
		if err == nil {
			err = c.Close()
		}
		return err == nil
	})
}

func (f *realCloud) configure(database, broker string) {
	f.Helper()
	yaml := fmt.Sprintf("listen: %s\ndata_dir: data\ndatabase: %q\nbroker: %s\n", f.listen, database, broker)
	if err := os.WriteFile(f.file, []byte(yaml), 0o600); err != nil {
		f.Fatal(err)
	}
}

// open makes its first user and runs it.
func (f *realCloud) open() *realCloud {
	t := f.TB
	t.Helper()
	var user struct{ Token string }
	if err := json.Unmarshal([]byte(command(t, cloudBinary, "user", "add", "leyla", "--role", "admin", "--config", f.file, "--json").ok(t).out), &user); err != nil {
		t.Fatal(err)
	}
	f.token = user.Token
	f.run()
	return f
}

// run starts it, and returns when it serves.
func (f *realCloud) run() {
	f.Helper()
	f.process = start(f, cloudBinary, "serve", "--config", f.file)
	f.process.says(&f.process.err, `msg=ready listen=(\S+)`)
}

// ask asks its API for something that must be granted.
func (f *realCloud) ask(method, path, body string, into any) {
	f.Helper()
	r, err := http.NewRequestWithContext(f.Context(), method, "http://"+f.listen+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+f.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		f.Fatal(err)
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	if err != nil || w.StatusCode > 299 {
		f.Fatalf("%s %s: %s %v\n%s", method, path, w.Status, err, text)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			f.Fatalf("%s %s: %v\n%s", method, path, err, text)
		}
	}
}

// code makes one with which an agent of a new venue is let in.
func (f *realCloud) code(agent string) string {
	f.Helper()
	f.ask("POST", "/venues", `{"id":"baku-01","name":"Şirvanşah"}`, nil)
	var e struct{ Code string }
	f.ask("POST", "/enrolments", fmt.Sprintf(`{"venue":"baku-01","agent":%q}`, agent), &e)
	return e.Code
}

// enroll makes the shop's agent one of the cloud's.
func (f *realCloud) enroll(s *shop, agent string) {
	f.Helper()
	code := f.code(agent)
	// The shop's own file is JSON, into which nothing can be added.
	file := filepath.Join(f.TempDir(), "agent.yaml")
	if err := os.WriteFile(file, []byte("data_dir: "+s.dir+"\n"), 0o600); err != nil {
		f.Fatal(err)
	}
	command(f, agentBinary, "enroll", "--cloud", "http://"+f.listen, "--code", code, "--config", file).ok(f)
	s.config["cloud"] = object{"broker": f.broker, "agent_id": agent}
	s.write()
}

// fiscal counts how often the cloud has each fiscal id of an agent.
func (f *realCloud) fiscal(agent string) map[string]int {
	f.Helper()
	ids := map[string]int{}
	for next := int64(0); ; {
		path := fmt.Sprintf("/agents/%s/receipts?state=fiscal&limit=1000", agent)
		if next > 0 {
			path += fmt.Sprintf("&before=%d", next)
		}
		var page struct {
			Items []wire.Receipt
			Next  int64
		}
		f.ask("GET", path, "", &page)
		for _, r := range page.Items {
			ids[r.Document.FiscalID]++
		}
		if next = page.Next; next == 0 {
			return ids
		}
	}
}

// closed gives the totals of the closed shifts, the oldest first.
func (f *realCloud) closed(agent string) (list []totals) {
	f.Helper()
	var page struct {
		Items []struct {
			totals
			Difference []any
		}
	}
	f.ask("GET", "/shift-reports?agent="+agent, "", &page)
	for n := len(page.Items) - 1; n >= 0; n-- {
		if len(page.Items[n].Difference) > 0 {
			f.Errorf("a shift differs: %+v", page.Items[n])
		}
		list = append(list, page.Items[n].totals)
	}
	return list
}

// has looks whether the cloud has each document of a ledger once, and nothing else.
func (f *realCloud) has(agent string, ledger []simulator.Document) {
	f.Helper()
	var got map[string]int
	moves(f, "documents of which the cloud has heard", len(ledger), func() int {
		got = f.fiscal(agent)
		return len(got)
	})
	for _, d := range ledger {
		if got[d.FiscalID] != 1 {
			f.Errorf("the cloud has document %s %d times", d.FiscalID, got[d.FiscalID])
		}
		delete(got, d.FiscalID)
	}
	if len(got) > 0 {
		f.Errorf("the cloud has documents that no register made: %v", got)
	}
}
