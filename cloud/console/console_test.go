package console_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ekassa/cloud/api"
	"ekassa/cloud/browsertest"
	"ekassa/cloud/console"
	"ekassa/cloud/control"
	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
	"ekassa/cloud/wire"
)

type hints struct{}

func (hints) Changed(string) {}
func (hints) Revoked(string) {}

var owner = control.Person{Name: "owner", Role: fleet.Admin}

// office is a cloud's desk with its console and API, over a store of its own.
type office struct {
	*testing.T
	store   store.Store
	control *control.Control
	url     string
}

func open(t *testing.T) *office {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite", t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	o := &office{T: t, store: s, control: control.New(s, hints{}, time.Now)}
	mux := http.NewServeMux()
	mux.Handle("/api/v1/", api.New(api.Config{Control: o.control, Log: slog.New(slog.DiscardHandler)}))
	mux.Handle("/", console.New(console.Config{Control: o.control, Log: slog.New(slog.DiscardHandler)}))
	server := httptest.NewServer(mux)
	o.url = server.URL
	t.Cleanup(func() {
		server.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

func (o *office) user(name string, role fleet.Role) (password string) {
	o.Helper()
	password, _, err := o.control.AddUser(o.Context(), owner, name, role)
	if err != nil {
		o.Fatal(err)
	}
	return password
}

// agent enrols one, which tells of itself.
func (o *office) agent(venue, id, code string) {
	o.Helper()
	_, err := o.store.Enrol(o.Context(), fleet.HashCode(code), func(e fleet.Enrolment) (fleet.Certificate, error) {
		return fleet.Certificate{Serial: "01" + id, Agent: e.Agent, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}, nil
	}, time.Now())
	if err != nil {
		o.Fatal(err)
	}
	if err := o.store.Presence(o.Context(), id, wire.Presence{Online: true, Session: 1, Version: "1.2.3", Epoch: 1}, time.Now()); err != nil {
		o.Fatal(err)
	}
	days, celsius, used, written, radio := 12, 51.4, 30, int64(640_000_000), -71
	for seq, record := range []struct {
		kind string
		data any
	}{
		{wire.RecordHealth, wire.Health{Waiting: 3, OldestSeconds: 4000, DiskFree: 9e9, CertDays: &days, Temperature: &celsius, CardUsed: &used, WrittenDay: &written, WiFi: &radio, Registers: []wire.RegisterHealth{
			{ID: "kassa-1", Driver: "azsmart", Mode: "active", Link: "down", Problem: "register_unreachable", Serial: "S-1", ShiftOpen: true, ShiftAge: 82000, Held: 1},
		}}},
		{wire.RecordReceipt, wire.Receipt{Terminal: "till-1", ID: "r-1", Register: "kassa-1", Kind: "sale", Total: "12.00", State: "fiscal", ReceivedAt: time.Now(),
			Document: &wire.Document{FiscalID: "FISCAL-1", Serial: "S-1", At: time.Now()}}},
		{wire.RecordShiftClosed, wire.ShiftReport{Register: "kassa-1", Shift: "7", OpenedAt: time.Now().Add(-time.Hour), ClosedAt: time.Now(), By: "Aysel Ə.",
			Report:      json.RawMessage(`{"shift":"7","cash":"0.00","sales":{"count":2,"sum":"24.50","cash":"24.50","card":"0.00"},"refunds":{"count":0,"sum":"0.00","cash":"0.00","card":"0.00"}}`),
			Differences: []wire.Difference{{Figure: "sales.count", Journal: "3", Register: "2"}}, Doubtful: []string{"r-9"}}},
		{wire.RecordAlert, wire.Alert{Register: "kassa-1", Code: "shift_old", Detail: "22h"}},
	} {
		raw, err := json.Marshal(record.data)
		if err != nil {
			o.Fatal(err)
		}
		r := wire.Record{V: wire.Version, Agent: id, Epoch: 1, Seq: int64(seq + 1), Type: record.kind, Time: time.Now(), Data: raw}
		if _, err := o.store.Ingest(o.Context(), []wire.Record{r}); err != nil {
			o.Fatal(err)
		}
	}
}

// get reads an address with a user's session.
func (o *office) get(name, password, address string) string {
	o.Helper()
	secret, _, err := o.control.Login(o.Context(), name, password, "127.0.0.1")
	if err != nil {
		o.Fatal(err)
	}
	r, err := http.NewRequestWithContext(o.Context(), http.MethodGet, address, nil)
	if err != nil {
		o.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: api.Cookie, Value: secret})
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		o.Fatal(err)
	}
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	if err != nil || w.StatusCode != http.StatusOK {
		o.Fatalf("%s: %d %v %s", address, w.StatusCode, err, body)
	}
	return string(body)
}

// visitor is a person at a browser.
type visitor struct {
	*browsertest.Browser
	url string
}

// Click clicks on what leads to another page: everything does.
func (v visitor) Click(selector string) {
	v.Helper()
	v.Leaves(func() { v.Browser.Click(selector) })
}

// Types types; what ends with Enter leads to another page.
func (v visitor) Types(selector, keys string) {
	v.Helper()
	if !strings.HasSuffix(keys, "\r") {
		v.Browser.Types(selector, keys)
		return
	}
	v.Leaves(func() { v.Browser.Types(selector, keys) })
}

func (v visitor) speak(lang string) {
	v.Helper()
	v.Click(`button[name=language][value=` + lang + `]`)
	v.Holds(fmt.Sprintf(`document.documentElement.lang == %q`, lang))
}

func (v visitor) signIn(name, password string) {
	v.Helper()
	v.Open(v.url + "/sign-in")
	v.Types(`input[name=name]`, name)
	v.Types(`input[name=password]`, password)
	v.Click(`main button.main`)
	v.Visible(`header nav`)
}

func (v visitor) everywhere(name, path string) {
	v.Helper()
	for _, width := range []int{360, 1280} {
		v.Size(width)
		for _, lang := range console.Languages {
			v.Open(v.url + path)
			v.speak(lang)
			v.Blameless(fmt.Sprintf("console-%s-%s-%d", name, lang, width))
		}
	}
}

// The console as an operator uses it, page by page, in a real browser.
func TestConsole(t *testing.T) {
	o := open(t)
	password, looks := o.user("leyla", fleet.Admin), o.user("rauf", fleet.Viewer)
	v := visitor{browsertest.New(t), o.url}
	v.everywhere("sign-in", "/sign-in")
	v.Types(`input[name=name]`, "leyla")
	v.Types(`input[name=password]`, "wrong\r")
	v.Sees("Name or password is wrong.")
	v.signIn("leyla", password)

	// A venue, wrong and right, and a code for its agent, shown once.
	v.Open(o.url + "/venues")
	v.Types(`input[name=id]`, "Çay!")
	v.Types(`input[name=name]`, "Çayxana Əli\r")
	v.Visible(`.error code`)
	v.Holds(`document.querySelector('input[name=name]').value == 'Çayxana Əli'`) // what was typed is kept
	v.Says(`document.querySelector('input[name=id]').value = ''`)
	v.Types(`input[name=id]`, "cay\r")
	v.Types(`input[name=agent]`, "pi-1\r")
	v.Visible(`#code`)
	v.Gone(`button[name=language]`)
	code := v.Says(`document.querySelector('#code').innerText`)
	v.Blameless("console-code")
	o.agent("cay", "pi-1", code)
	v.Open(o.url + "/venues/cay")
	v.Gone(`#code`)

	// The module costs 10 AZN a month, in days.
	v.Click(`#module-azsmart`)
	v.Holds(`document.querySelector('#bill') && Number(document.querySelector('#bill').innerText) > 0`)
	v.everywhere("venue", "/venues/cay")
	v.everywhere("venues", "/venues")
	v.everywhere("overview", "/")
	v.Sees("does not answer")

	// Settings: refused with the field, then taken; the versions say what changed.
	v.Open(o.url + "/agents/pi-1")
	v.Says(`(t => t.value = t.value.replace('"before_limit"', '"never"').replace('"off"', '"never"'))(document.querySelector('textarea'))`)
	v.Click(`#settings button.main`)
	v.Sees("shift.auto_close")
	v.Holds(`document.querySelector('textarea').value.includes('"never"')`)
	v.Says(`(t => t.value = t.value.replace('"never"', '"before_limit"'))(document.querySelector('textarea'))`)
	v.Click(`#settings button.main`)
	v.Holds(`document.querySelector('#settings details') && !document.querySelector('.error')`)
	if s, err := o.control.Settings(t.Context(), "pi-1", 0); err != nil || s.Rev != 1 || s.By != "leyla" || s.Settings.Shift.AutoClose != wire.AutoCloseBeforeLimit {
		t.Errorf("%v, %+v", err, s)
	}
	// A command.
	v.Chooses(`select[name=name]`, "x_report")
	v.Click(`#commands button.main`)
	v.Visible(`#commands table`)
	if list, err := o.control.CommandsOf(t.Context(), "pi-1", 10); err != nil || len(list) != 1 || list[0].Name != "x_report" {
		t.Errorf("%v, %+v", err, list)
	}
	v.everywhere("agent", "/agents/pi-1")
	v.Open(o.url + "/agents/pi-1?state=held")
	v.Sees("Nothing yet.")

	// Reports with the chart and the table as CSV; an alert is seen to.
	v.everywhere("reports", "/reports?venue=cay")
	v.Sees("24.50")
	if csv := o.get("leyla", password, v.Says(`document.querySelector('a[download]').href`)); !strings.Contains(csv, "24.50") {
		t.Errorf("the CSV: %s", csv)
	}
	v.everywhere("alerts", "/alerts")
	for range 2 { // the agent's own one, and that of the Z report
		v.Click(`form[action$=acknowledge] button`)
	}
	v.Holds(`!document.querySelector('form[action$=acknowledge]')`)
	v.everywhere("alerts-none", "/alerts")

	// A rollout, paused and gone on with.
	v.Open(o.url + "/rollouts")
	v.Types(`input[name=change]`, `{"language":"xx"}`)
	v.Click(`main form button.main`)
	v.Visible(`.error`)
	v.Says(`document.querySelector('input[name=change]').value = '{"language":"ru"}'`)
	v.Click(`main form button.main`)
	v.Click(`button[value=paused]`)
	v.Visible(`button[value=running]`)
	v.everywhere("rollout", v.Says(`location.pathname`))
	v.Click(`button[value=running]`)
	v.Visible(`button[value=paused]`)
	v.everywhere("rollouts", "/rollouts")

	// People, webhooks and the audit log, which has it all.
	v.Open(o.url + "/users")
	v.Types(`main input[name=name]`, "nigar\r")
	v.Visible(`#given`)
	v.Gone(`button[name=language]`)
	v.everywhere("users", "/users")
	v.Open(o.url + "/webhooks")
	v.Types(`input[name=url]`, "https://example.com/hook\r")
	v.Visible(`.secret code`)
	v.Gone(`button[name=language]`) // in another language the secret would not be there
	v.Leaves(v.Reload)
	v.Visible(`.error`)
	v.Gone(`.secret`)
	v.Visible(`button[name=language]`)
	if list, err := o.control.Webhooks(t.Context(), owner); err != nil || len(list) != 1 {
		t.Errorf("the page that was loaded again has added another one: %v, %+v", err, list)
	}
	v.everywhere("webhooks", "/webhooks")
	v.Click(`form[action$=delete] button`)
	v.Holds(`!document.querySelector('form[action$=delete]')`)
	v.everywhere("acts", "/acts")
	for _, act := range []string{"venue.add", "enrolment.add", "settings.put", "command.add", "rollout.start", "user.add"} {
		v.Sees(act)
	}
	// The agent is taken back by whoever types its name.
	v.Open(o.url + "/agents/pi-1")
	v.Types(`input[name=sure]`, "pi-2\r")
	v.Visible(`.error`)
	v.Types(`input[name=sure]`, "pi-1\r")
	v.Sees("revoked")
	v.everywhere("missing", "/no/such/page")

	// One who may only look has no buttons, and is told so where one is pressed by hand.
	v.Open(o.url + "/")
	v.Click(`form[action="/sign-out"] button`)
	v.signIn("rauf", looks)
	for _, path := range []string{"/agents/pi-1", "/venues/cay", "/rollouts", "/alerts"} {
		v.Open(o.url + path)
		if n := v.Says(`String(document.querySelectorAll('main form[method=post]:not([action$=settings])').length)`); n != "0" {
			t.Errorf("%s has %s forms for one who may only look", path, n)
		}
	}
	v.Open(o.url + "/acts")
	v.Sees("Your role does not allow this.")
}

// Without a browser: what protects it.
func TestConsole_LetsNobodyInAndNoOtherSite(t *testing.T) {
	o := open(t)
	password := o.user("leyla", fleet.Admin)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	do := func(method, path string, form url.Values, header ...string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, o.url+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for n := 0; n < len(header); n += 2 {
			r.Header.Set(header[n], header[n+1])
		}
		w, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.Body.Close() })
		return w
	}
	for _, path := range []string{"/", "/venues", "/agents/x", "/acts", "/users", "/nothing"} {
		if w := do("GET", path, nil); w.StatusCode != http.StatusSeeOther || w.Header.Get("Location") != "/sign-in" {
			t.Errorf("%s without a session: %d %s", path, w.StatusCode, w.Header.Get("Location"))
		}
	}
	w := do("POST", "/sign-in", url.Values{"name": {"leyla"}, "password": {password}})
	cookie := w.Header.Get("Set-Cookie")
	if w.StatusCode != http.StatusSeeOther || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
		t.Fatalf("%d %s", w.StatusCode, cookie)
	}
	session, _, _ := strings.Cut(cookie, ";")
	form := url.Values{"id": {"v"}, "name": {"V"}}
	if w := do("POST", "/venues", form, "Cookie", session, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); w.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form: %d", w.StatusCode)
	}
	if list, err := o.control.Venues(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("%v, %v", list, err)
	}
	if w := do("POST", "/venues", url.Values{"name": {strings.Repeat("x", 300<<10)}}, "Cookie", session); w.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a huge form: %d", w.StatusCode)
	}
	for _, to := range []string{"//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil"} {
		if w := do("POST", "/language", url.Values{"language": {"ru"}, "to": {to}}); w.Header.Get("Location") != "/" {
			t.Errorf("sent to %s", w.Header.Get("Location"))
		}
	}
	if w := do("POST", "/sign-out", nil, "Cookie", session); w.StatusCode != http.StatusSeeOther {
		t.Errorf("%d", w.StatusCode)
	}
	if w := do("GET", "/venues", nil, "Cookie", session); w.StatusCode != http.StatusSeeOther {
		t.Errorf("after signing out: %d", w.StatusCode)
	}
}

func TestTextsAreCompleteAndUsed(t *testing.T) {
	all := map[string]map[string]string{}
	for _, lang := range console.Languages {
		data, err := os.ReadFile(filepath.Join("texts", lang+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]string
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		all[lang] = m
	}
	keys := slices.Sorted(maps.Keys(all["en"]))
	var source strings.Builder
	for _, pattern := range []string{"pages/*.html", "*.go"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(data)
		}
	}
	for _, m := range regexp.MustCompile(`\.T "([a-z_.]+)"`).FindAllStringSubmatch(source.String(), -1) {
		if _, ok := all["en"][m[1]]; !ok {
			t.Errorf("no text %s", m[1])
		}
	}
	for lang, m := range all {
		if got := slices.Sorted(maps.Keys(m)); !slices.Equal(got, keys) {
			t.Errorf("%s has other keys than en", lang)
		}
		for key, s := range m {
			if s == "" || strings.Count(s, "{") != strings.Count(all["en"][key], "{") {
				t.Errorf("%s: %s is %q", lang, key, s)
			}
		}
	}
	// What the cloud itself can raise has words.
	for _, code := range []string{"register_away", "receipts_waiting", "shift_old", "shift_expired", "certificate_ending", "clock_off", "agent_offline"} {
		if _, ok := all["en"]["alert."+code]; !ok || !fleet.Watched(code) {
			t.Errorf("alert %s", code)
		}
	}
	for _, name := range control.CommandNames() {
		if _, ok := all["en"]["command."+name]; !ok {
			t.Errorf("command %s", name)
		}
	}
}
