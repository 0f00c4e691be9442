package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
	"ekassa/agent/till"
)

// TestAPI goes through all of the till's API, and at the end makes sure of
// that: every route has answered with a success, and every status code of the
// contract has been seen.
func TestAPI(t *testing.T) {
	t.Run("of", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T){
			"receipts":                               apiReceipts,
			"faults are named in three languages":    apiFaults,
			"the same id fifty times at once":        apiFifty,
			"the module is off":                      apiModuleOff,
			"a refund waits for its parent":          apiParents,
			"kept here only, and fiscal later":       apiNonFiscal,
			"withdrawn while the register is away":   apiWithdrawn,
			"listing":                                apiListing,
			"events across a restart":                apiEvents,
			"cash":                                   apiCash,
			"shift":                                  apiShift,
			"status, registers and what is public":   apiStatus,
			"tokens, hosts, pages and too many asks": apiGuard,
			"a till without a register":              apiUnbound,
			"a full disk":                            apiFullDisk,
			"people at the till":                     apiPeople,
			"slips for guests":                       apiSlip,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t)
			})
		}
	})
	heard.mu.Lock()
	defer heard.mu.Unlock()
	codes := map[string]bool{}
	for got := range heard.got {
		codes[got[len(got)-3:]] = true
	}
	for _, r := range till.Routes() {
		path := strings.TrimSuffix(r.Path, "{$}")
		ok := false
		for _, code := range []string{"200", "201", "202"} {
			ok = ok || heard.got[r.Method+" "+path+" "+code]
		}
		if !ok && r.Path != "/v1/events" { // which is read in another way
			t.Errorf("no test has had a success from %s %s", r.Method, r.Path)
		}
	}
	for _, code := range []string{"200", "201", "202", "400", "401", "403", "404", "405", "409", "413", "415", "422", "429", "502", "503", "507"} {
		if !codes[code] {
			t.Errorf("no test has seen a %s", code)
		}
	}
}

// open is a shop with one register within the test.
func open(t *testing.T) (*shop, *simulator.Simulator) {
	t.Helper()
	sim := register(t, simulator.Config{})
	s := newShop(t, at(sim.Addr()))
	s.serve(fast)
	return s, sim
}

func apiReceipts(t *testing.T) {
	s, sim := open(t)
	c := s.till()

	made := storedIn(c.Post("/v1/receipts", sale("a"), wait).Want(http.StatusCreated))
	if doc := sim.Ledger()[0]; made.State != receipt.Fiscal || made.Document.FiscalID != doc.FiscalID || !made.Document.Printed || doc.Change != 800 {
		t.Errorf("%+v, and the ledger %+v", made, doc)
	}
	if a := c.Post("/v1/receipts", sale("b")).Want(http.StatusAccepted); a.Header.Get("Location") != "/v1/receipts/b" {
		t.Errorf("where it is: %q", a.Header.Get("Location"))
	}
	s.reaches("b", receipt.Fiscal)

	// The same id: in other bytes of the same meaning, with other content, and
	// of another till.
	again := sale("a", object{
		"items":  []any{object{"name": "Plov", "code": "1001", "quantity": 1.500, "price": 8, "tax": "vat18", "discount": "0.00", "unit": "piece"}},
		"fiscal": true, "payments": object{"cash": 20, "card": "0"},
	})
	if r := storedIn(c.Post("/v1/receipts", again).Want(http.StatusOK)); r.Document.FiscalID != made.Document.FiscalID {
		t.Errorf("told of %s at the repeat", r.Document.FiscalID)
	}
	if a := c.Post("/v1/receipts", sale("a", object{"payments": object{"card": "12.00"}})).Want(http.StatusConflict); a.Field("errors.0.field") != "id" {
		t.Errorf("%s", a.Body)
	}
	if n := len(sim.Ledger()); n != 2 {
		t.Errorf("%d documents", n)
	}

	c.Post("/v1/receipts", sale("c"), "Prefer: wait=soon").Want(http.StatusBadRequest)
	c.Post("/v1/receipts", sale("c"), "Content-Type: text/plain").Want(http.StatusUnsupportedMediaType)
	c.Post("/v1/receipts", sale("c", object{"note": strings.Repeat("x", 1<<20)})).Want(http.StatusRequestEntityTooLarge)
	c.Get("/v1/receipts/c").Want(http.StatusNotFound)
	c.Get("/v1/nothing").Want(http.StatusNotFound)
	c.Do(c.Request(http.MethodPut, "/v1/receipts", "{}")).Want(http.StatusMethodNotAllowed)

	// A copy is no document.
	c.Post("/v1/receipts/a/reprint", "").Want(http.StatusOK)
	sim.Arm(simulator.Fault{Name: simulator.Refuse, Route: "/check_copy", Times: 2, Code: 9})
	c.Post("/v1/receipts/a/reprint", "").Want(http.StatusConflict) // by the register's number, and by the fiscal id
	for _, move := range []string{"retry", "withdraw", "fiscalise"} {
		if a := c.Post("/v1/receipts/a/"+move, "").Want(http.StatusConflict); a.Field("type") != "urn:ekassa:problem:move" {
			t.Errorf("%s of a fiscal one: %s", move, a.Body)
		}
	}
	c.Post("/v1/receipts/a/resolve", `{"verdict":"send","who":"A","why":"B"}`).Want(http.StatusConflict)
	c.Post("/v1/receipts/a/resolve", `{"verdict":"burn","why":"B"}`).Want(http.StatusUnprocessableEntity)
	if n := len(sim.Ledger()); n != 2 {
		t.Errorf("%d documents", n)
	}

	// Refused, mended, sent again; and held, resolved.
	sim.Arm(simulator.Fault{Name: simulator.Refuse, Route: "/sale", Times: 1, Code: 3})
	c.Post("/v1/receipts", sale("d"), wait).Want(http.StatusAccepted)
	if r := s.get("d"); r.State != receipt.Refused || !strings.Contains(r.Reason.Text, "3") {
		t.Errorf("%+v", r)
	}
	if r := storedIn(c.Post("/v1/receipts/d/retry", `{"who":"Aysel M."}`, wait).Want(http.StatusOK)); r.State != receipt.Fiscal {
		t.Errorf("%+v", r)
	}
	sim.Arm(simulator.Fault{Name: simulator.DropAfter, Route: "/rollback", Times: 1})
	c.Post("/v1/receipts", cancel("e", "d"), wait).Want(http.StatusAccepted)
	if a := c.Post("/v1/receipts/e/withdraw", "").Want(http.StatusUnprocessableEntity); a.Field("errors.0.field") != "who" {
		t.Errorf("held, and withdrawn without a name: %s", a.Body)
	}
	// What is on the paper is another receipt's: a person's slip.
	if a := c.Post("/v1/receipts/e/resolve", with(object{"verdict": "was_made", "who": "A", "why": "paper", "document": object{"fiscal_id": made.Document.FiscalID}})).Want(http.StatusConflict); a.Field("type") != "urn:ekassa:problem:taken" {
		t.Errorf("%s", a.Body)
	}
	ledger := sim.Ledger()
	s.resolve("e", object{"verdict": "was_made", "document": object{"fiscal_id": ledger[len(ledger)-1].FiscalID}})
	referee(t, s.receipts(), ledger)
}

func apiFaults(t *testing.T) {
	s, sim := open(t)
	bad := `{"id":"a b","kind":"gift","time":"today","items":[{"name":"","quantity":"0","price":"1.005","tax":"vat99"}],"payments":{"card":"-1"},"tip":"1"}`
	want := map[string]string{
		"id": "bad_pattern", "kind": "not_allowed", "time": "bad_time", "items[0].name": "required", "items[0].quantity": "not_positive",
		"items[0].price": "too_precise", "items[0].tax": "not_allowed", "payments.card": "negative", "tip": "unknown_field",
	}
	said := map[string]bool{}
	for _, language := range []string{"az", "ru", "en"} {
		c := s.till()
		c.Language = language
		a := c.Post("/v1/receipts", bad).Want(http.StatusUnprocessableEntity)
		if got := a.Header.Get("Content-Language"); got != language {
			t.Errorf("asked in %s, answered in %q", language, got)
		}
		var p struct {
			Errors []struct{ Field, Code, Message string } `json:"errors"`
		}
		a.JSON(&p)
		got := map[string]string{}
		for _, e := range p.Errors {
			got[e.Field] = e.Code
			said[language+e.Message] = true
			if e.Field == "kind" && said[e.Message] {
				t.Errorf("%s is said twice, in %s too", e.Message, language)
			} else if e.Field == "kind" {
				said[e.Message] = true
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("in %s:\ngot  %v\nwant %v", language, got, want)
		}
	}
	c := s.till()
	for body, code := range map[string]string{
		"[]": "not_json", `{"id":"a","id":"b"}`: "duplicate_field",
		sale("a", object{"payments": object{"cash": "11.99"}}): "underpaid", sale("a", object{"payments": object{"card": "12.01"}}): "overpaid",
		refund("a", "nobody"): "parent_unknown", sale("a", object{"items": []any{}}): "no_items",
	} {
		if a := c.Post("/v1/receipts", body).Want(http.StatusUnprocessableEntity); !strings.Contains(string(a.Body), `"code":"`+code+`"`) {
			t.Errorf("%s: want %s\n%s", body, code, a.Body)
		}
	}
	if n := len(s.receipts()) + len(sim.Ledger()); n != 0 {
		t.Errorf("%d were stored", n)
	}
}

func apiFifty(t *testing.T) {
	s, sim := open(t)
	c := s.till()
	answers := make([]int, 50)
	var posts sync.WaitGroup
	for n := range answers {
		posts.Go(func() {
			header := "Prefer: wait=0"
			if n%2 == 0 {
				header = wait
			}
			a, err := c.Try(c.Request(http.MethodPost, "/v1/receipts", sale("a"), header))
			if err != nil {
				t.Error(err)
				return
			}
			answers[n] = a.Status
		})
	}
	posts.Wait()
	s.reaches("a", receipt.Fiscal)
	slices.Sort(answers)
	if answers[48] != http.StatusOK || answers[49] != http.StatusCreated && answers[49] != http.StatusAccepted {
		t.Errorf("answers: %v", answers)
	}
	referee(t, s.receipts(), sim.Ledger())
	if n := len(sim.Ledger()); n != 1 {
		t.Errorf("%d documents", n)
	}
}

func apiModuleOff(t *testing.T) {
	sim := register(t, simulator.Config{})
	s := newShop(t, at(sim.Addr()))
	stop := s.serve(fast)
	c := s.till()
	c.Post("/v1/receipts", sale("a"), wait).Want(http.StatusCreated)
	stop() // the agent reads its settings when it starts
	s.settings["module"] = object{"enabled": false}
	s.write()
	s.serve(fast)
	if a := c.Post("/v1/receipts", sale("b")).Want(http.StatusForbidden); a.Field("type") != "urn:ekassa:problem:module_off" {
		t.Errorf("%s", a.Body)
	}
	if r := storedIn(c.Post("/v1/receipts", sale("a")).Want(http.StatusOK)); r.State != receipt.Fiscal { // it was here before
		t.Errorf("%+v", r)
	}
	c.Post("/v1/cash/deposit", `{"id":"d","amount":"5.00"}`).Want(http.StatusForbidden)
	if a := c.Get("/v1/status").Want(http.StatusOK); a.Field("module.enabled") != "false" || a.Field("message.code") != "module_off" {
		t.Errorf("%s", a.Body)
	}
	if n := len(sim.Ledger()); n != 1 {
		t.Errorf("%d documents", n)
	}
}

func apiParents(t *testing.T) {
	s, sim := open(t)
	c := s.till()
	c.Post("/v1/receipts", sale("first"), wait).Want(http.StatusCreated)

	// The parent is refused; what takes it back waits for it, and nothing else does.
	sim.Arm(simulator.Fault{Name: simulator.Refuse, Route: "/sale", Times: 1, Code: 3})
	c.Post("/v1/receipts", sale("p"), wait).Want(http.StatusAccepted)
	c.Post("/v1/receipts", refund("r", "p")).Want(http.StatusAccepted)
	c.Post("/v1/receipts", cancel("c", "first"), wait).Want(http.StatusCreated)
	r := s.waitsFor("r", "waits_for_parent")
	if !strings.Contains(r.Reason.Text, "p") {
		t.Errorf("it does not say for whom: %q", r.Reason.Text)
	}
	c.Post("/v1/receipts/p/retry", "", wait).Want(http.StatusOK)
	s.reaches("r", receipt.Fiscal)

	docs := sim.Ledger()
	byID := map[string]simulator.Document{}
	for _, d := range docs {
		byID[d.FiscalID] = d
	}
	if p, r := s.get("p"), s.get("r"); byID[r.Document.FiscalID].Parent != p.Document.FiscalID {
		t.Errorf("the refund goes back to %s, and the sale is %s", byID[r.Document.FiscalID].Parent, p.Document.FiscalID)
	}
	// A cancel without lines took its parent's whole sum back.
	if d := docs[1]; d.Kind != simulator.Rollback || d.Amount != 1200 || d.Parent != docs[0].FiscalID {
		t.Errorf("the cancel: %+v", d)
	}
	// Of what was withdrawn nothing can be taken back.
	sim.Arm(simulator.Fault{Name: simulator.Refuse, Route: "/sale", Times: 1, Code: 3})
	c.Post("/v1/receipts", sale("w"), wait).Want(http.StatusAccepted)
	c.Post("/v1/receipts/w/withdraw", "").Want(http.StatusOK)
	if a := c.Post("/v1/receipts", refund("rw", "w")).Want(http.StatusUnprocessableEntity); a.Field("errors.0.code") != "parent_state" {
		t.Errorf("%s", a.Body)
	}
	// Of a document of another journal, by its fiscal id and number.
	outside := refund("ro", "", object{"parent": object{"fiscal_id": docs[2].FiscalID, "number": fmt.Sprint(docs[2].Number)}})
	if a := c.Post("/v1/receipts", outside, wait); a.Field("state") != "refused" {
		t.Errorf("refunded twice: %s", a.Body)
	}
}

func apiNonFiscal(t *testing.T) {
	s, sim := open(t)
	c := s.till()
	if r := storedIn(c.Post("/v1/receipts", sale("a", object{"fiscal": false}), wait).Want(http.StatusAccepted)); r.State != receipt.NonFiscal || r.Reason.Code != "not_fiscal" {
		t.Errorf("%+v", r)
	}
	c.Post("/v1/receipts", sale("b"), wait).Want(http.StatusCreated)
	if n := len(sim.Ledger()); n != 1 {
		t.Errorf("%d documents", n)
	}
	if r := storedIn(c.Post("/v1/receipts/a/fiscalise", `{"who":"Aysel M.","why":"the guest asked"}`, wait).Want(http.StatusOK)); r.State != receipt.Fiscal {
		t.Errorf("%+v", r)
	}
	c.Post("/v1/receipts/a/fiscalise", "").Want(http.StatusConflict)
	if n := len(sim.Ledger()); n != 2 {
		t.Errorf("%d documents", n)
	}
}

func apiWithdrawn(t *testing.T) {
	sim := register(t, simulator.Config{})
	s := newShop(t, at(sim.Addr()))
	s.serve(fast)
	c := s.till()
	c.Post("/v1/receipts", sale("a"), wait).Want(http.StatusCreated)
	stranger(t, sim, otherSerial) // away, and nothing may be sent
	c.Post("/v1/receipts", sale("b")).Want(http.StatusAccepted)
	c.Post("/v1/receipts", sale("c")).Want(http.StatusAccepted)
	s.waitsFor("b", "wrong_register")
	if r := s.get("c"); r.Ahead != 1 {
		t.Errorf("%d go before c, want 1", r.Ahead)
	}
	if a := c.Post("/v1/registers/kassa-1/check", ""); a.Status < 500 || a.Field("errors.0.code") != "wrong_register" {
		t.Errorf("checked: %d %s", a.Status, a.Body)
	}
	if r := storedIn(c.Post("/v1/receipts/b/withdraw", `{"who":"Aysel M.","why":"the guest left"}`).Want(http.StatusOK)); r.State != receipt.Withdrawn {
		t.Errorf("%+v", r)
	}
	stranger(t, sim, serial)
	s.reaches("c", receipt.Fiscal)
	if r := storedIn(c.Post("/v1/receipts", sale("b")).Want(http.StatusOK)); r.State != receipt.Withdrawn {
		t.Errorf("posted again: %+v", r)
	}
	referee(t, s.receipts(), sim.Ledger())
	if n := len(sim.Ledger()); n != 2 {
		t.Errorf("%d documents", n)
	}
}

func apiListing(t *testing.T) {
	s, _ := open(t)
	c := s.till()
	for n := range 7 {
		c.Post("/v1/receipts", sale(fmt.Sprintf("r%d", n), object{"fiscal": n%2 == 0})).Want(http.StatusAccepted)
	}
	s.reaches("r6", receipt.Fiscal)
	list := func(query string) (ids, next string) {
		t.Helper()
		var page struct {
			Receipts []stored `json:"receipts"`
			Next     string   `json:"next"`
		}
		c.Get("/v1/receipts?" + query).Want(http.StatusOK).JSON(&page)
		for _, r := range page.Receipts {
			ids += r.ID + " "
		}
		return strings.TrimSpace(ids), page.Next
	}
	all, next := list("")
	if all != "r6 r5 r4 r3 r2 r1 r0" || next != "" {
		t.Errorf("all: %s, next %q", all, next)
	}
	first, next := list("limit=3")
	c.Post("/v1/receipts", sale("r7")).Want(http.StatusAccepted) // does not shift the pages
	second, next2 := list("limit=3&cursor=" + next)
	third, last := list("limit=3&cursor=" + next2)
	if first != "r6 r5 r4" || second != "r3 r2 r1" || third != "r0" || last != "" {
		t.Errorf("in pages: %s | %s | %s | %q", first, second, third, last)
	}
	s.reaches("r7", receipt.Fiscal)
	if some, _ := list("state=non_fiscal"); some != "r5 r3 r1" {
		t.Errorf("non_fiscal: %s", some)
	}
	if some, _ := list("state=non_fiscal,fiscal&limit=2"); some != "r7 r6" {
		t.Errorf("two states: %s", some)
	}
	for _, query := range []string{"state=lost", "limit=0", "limit=201", "cursor=x", "page=2"} {
		c.Get("/v1/receipts?" + query).Want(http.StatusUnprocessableEntity)
	}
	// Another till sees none of it.
	other := s.till()
	other.Token = s.newToken("till-2")
	if a := other.Get("/v1/receipts").Want(http.StatusOK); a.Field("receipts.0.id") != "" {
		t.Errorf("%s", a.Body)
	}
	other.Get("/v1/receipts/r0").Want(http.StatusNotFound)
}

func apiUnbound(t *testing.T) {
	s, _ := open(t)
	c := s.till()
	c.Token = s.newToken("till-2")
	r := storedIn(c.Post("/v1/receipts", sale("a")).Want(http.StatusAccepted))
	if r.State != receipt.Waiting || r.Reason.Code != "no_register" || r.Register != "" {
		t.Errorf("%+v", r)
	}
	for _, path := range []string{"/v1/shift/open", "/v1/shift/close", "/v1/shift/x-report"} {
		if a := c.Post(path, "").Want(http.StatusConflict); a.Field("type") != "urn:ekassa:problem:no_register" {
			t.Errorf("%s: %s", path, a.Body)
		}
	}
	c.Get("/v1/shift").Want(http.StatusConflict)
	if a := c.Get("/v1/reports?kind=z").Want(http.StatusOK); string(a.Body) != "{\"reports\":[]}\n" {
		t.Errorf("%s", a.Body)
	}
	c.Get("/v1/reports?limit=0").Want(http.StatusUnprocessableEntity)
	c.Post("/v1/registers/kassa-1/check", "").Want(http.StatusNotFound) // it is another till's
	if a := c.Get("/v1/status").Want(http.StatusOK); a.Field("message.code") != "no_register" || a.Field("queue.waiting") != "1" {
		t.Errorf("%s", a.Body)
	}
}

// A disk of its own that can be filled up: a file system in memory, in a mount
// namespace that only the agent is in.
func apiFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("a file system of its own needs root: run these tests as root")
	}
	sim := register(t, simulator.Config{})
	s := bareShop(t, at(sim.Addr()))
	disk := filepath.Dir(s.dir) + "/disk"
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	s.dir = disk + "/data"
	s.config["data_dir"] = s.dir
	s.write()
	token := filepath.Join(filepath.Dir(s.file), "token")
	script := `mount -t tmpfs -o size=24m none "$1" && "$2" token add till-1 --config "$3" > "$4" && exec "$2" run --config "$3"`
	p := startCmd(t, exec.Command("unshare", "--mount", "sh", "-c", script, "sh", disk, agentBinary, s.file, token))
	p.says(&p.err, `msg=ready listen=(\S+)`)
	text, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}
	s.token = strings.TrimSpace(string(text))
	c := s.till()
	c.Post("/v1/receipts", sale("a"), wait).Want(http.StatusCreated)

	fill := fmt.Sprintf("/proc/%d/root%s/fill", p.cmd.Process.Pid, disk)
	if out, err := exec.Command("sh", "-c", `dd if=/dev/zero of="$1" bs=64k 2>&1; dd if=/dev/zero of="$1" bs=512 oflag=append conv=notrunc 2>&1; true`, "sh", fill).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	var full []string
	for n := 0; len(full) == 0 && n < 60; n++ { // what is left of the journal's own pages is used up first
		id := fmt.Sprintf("b%d", n)
		a := c.Post("/v1/receipts", sale(id, object{"note": strings.Repeat("x", 250)}))
		switch a.Status {
		case http.StatusAccepted, http.StatusCreated:
		case http.StatusInsufficientStorage:
			full = append(full, id)
		default:
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	if len(full) == 0 {
		t.Fatal("the disk is full, and the agent still says yes")
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	// Nothing was stored; the till sends it again, to this agent or, where that
	// one gave up, to the next one.
	eventually(t, "the till is told yes once there is space", func() bool {
		a, err := c.Try(c.Request(http.MethodPost, "/v1/receipts", sale(full[0], object{"note": strings.Repeat("x", 250)})))
		select {
		case <-p.done:
			t.Fatalf("the agent ended: %s", p.err.String())
		default:
		}
		return err == nil && (a.Status == http.StatusAccepted || a.Status == http.StatusCreated)
	})
	s.reaches(full[0], receipt.Fiscal)
	referee(t, s.receipts(), sim.Ledger())
}

// A person signs in with a PIN, and does with it what the role allows.
func apiPeople(t *testing.T) {
	s, _ := open(t)
	c := s.till()
	c.Post("/v1/receipts", sale("x"), wait).Want(http.StatusCreated)
	c.Post("/v1/cash/deposit", `{"id":"d","amount":"5.00"}`, wait).Want(http.StatusCreated)
	pin := s.person("Leyla", "manager")
	if a := c.Get("/v1/session").Want(http.StatusOK); a.Field("people.0") != "Leyla" {
		t.Errorf("%s", a.Body)
	}
	c.Post("/v1/session", `{"name":"Leyla","pin":"`+pin+`","terminal":"till-9"}`).Want(http.StatusUnprocessableEntity)
	a := c.Post("/v1/session", `{"name":"Leyla","pin":"`+pin+`","terminal":"`+terminal+`"}`).Want(http.StatusOK)
	if a.Field("person.role") != "manager" {
		t.Errorf("%s", a.Body)
	}
	c.Token, c.Cookie = "", strings.Split(a.Header.Get("Set-Cookie"), ";")[0]
	if a := c.Get("/v1/receipts/x/details").Want(http.StatusOK); a.Field("items.0.name") != "Plov" || a.Field("tries.0.register") != kassa {
		t.Errorf("%s", a.Body)
	}
	if a := c.Get("/v1/receipts/x/qr.svg").Want(http.StatusOK); !strings.HasPrefix(string(a.Body), "<svg") {
		t.Errorf("%s", a.Body)
	}
	if a := c.Get("/v1/cash?find=5,00").Want(http.StatusOK); a.Field("receipts.0.id") != "d" {
		t.Errorf("%s", a.Body)
	}
	c.Get("/v1/cash/d/details").Want(http.StatusOK)
	c.Post("/v1/shift/x-report", "{}").Want(http.StatusOK)
	if a := c.Get("/v1/acts").Want(http.StatusOK); a.Field("acts.0.what") != "shift_x_report" || a.Field("acts.0.who") != "Leyla" || a.Field("acts.0.outcome") != "done" {
		t.Errorf("%s", a.Body)
	}
	c.Post("/v1/session/end", "{}").Want(http.StatusOK)
	c.Get("/v1/acts").Want(http.StatusUnauthorized)
}
