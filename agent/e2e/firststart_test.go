package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"ekassa/agent/register/simulator"
	"ekassa/agent/texts"
	"ekassa/cloud/browsertest"
)

// newBox is a machine with a package that was just installed: an agent that has
// neither registers nor tills.
func newBox(t testing.TB) *shop {
	t.Helper()
	s := bareShop(t)
	s.settings = object{"registers": []any{}, "terminals": []any{}}
	s.write()
	return s
}

// kept lists what lies in the data folder of what a setup writes.
func (s *shop) kept() (names []string) {
	s.Helper()
	for _, name := range []string{"setup.json", "tokens.json", "people.json", "cloud.json"} {
		if _, err := os.Stat(filepath.Join(s.dir, name)); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// elsewhere gives an address at which the agent is reached as from another machine:
// through a proxy, which says so.
func (s *shop) elsewhere() string {
	s.Helper()
	l, err := net.Listen("tcp", newHost()+":8787")
	if err != nil {
		s.Fatal(err)
	}
	proxy := &http.Server{Handler: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: s.listen})
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}}}
	go func() { _ = proxy.Serve(l) }() // until it is closed
	s.Cleanup(func() { proxy.Close() })
	return "http://" + l.Addr().String()
}

// step asks for one of the first start, and gives status, answer and cookies.
func step(t testing.TB, base, method, path string, body object, cookies ...*http.Cookie) (int, object, []*http.Cookie) {
	t.Helper()
	r, err := http.NewRequest(method, base+"/setup/"+path, strings.NewReader(with(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept-Language", "en")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got := object{}
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer.StatusCode, got, answer.Cookies()
}

// An installer with a telephone sets up a new agent: the whole way, in each language
// and width, with each mistake, and nothing is there that was not confirmed.
func TestFirstStart_OnThePage(t *testing.T) {
	sim := announced(t, "", "FIRST-1", "")
	s := newBox(t)
	p := s.run()
	code := p.says(&p.err, `code=(\d{4}-\d{4})`)
	base := s.elsewhere()
	b := &browser{browsertest.New(t)}
	b.Size(360)
	b.Open(base + "/")
	b.speak("en")

	// The code: a wrong one, and the right one.
	wrong := "0000-0000"
	if code == wrong {
		wrong = "0000-0001"
	}
	b.Types(`input[name=code]`, wrong+"\r")
	b.Sees(texts.Say("en", "setup.code_wrong", nil))
	b.everywhere("first-code", func(lang string) {
		b.Sees(texts.Say(lang, "setup.code_title", nil))
		b.Click(`summary`)
	})
	if status, _, _ := step(t, base, http.MethodGet, "state", nil); status != http.StatusUnauthorized {
		t.Errorf("without the code: %d", status)
	}
	if status, _, _ := step(t, base, http.MethodPost, "write", object{"manager": "Mallory"}); status != http.StatusUnauthorized {
		t.Errorf("without the code: %d", status)
	}
	b.speak("en")
	b.Types(`input[name=code]`, code+"\r")

	// The register is found; its Merchant ID is mistyped once.
	found := fmt.Sprintf(`#found [data-address=%q]`, sim.Addr())
	for {
		b.Visible(`#found`)
		if b.Says(fmt.Sprintf(`String(!!document.querySelector(%q))`, found)) == "true" {
			break
		}
		b.Click(`[data-do=look]`) // a busy machine may miss an announcement
		b.Gone(`#found`)
	}
	b.everywhere("first-found", func(string) { b.Visible(found) })
	b.speak("en")
	b.Click(found)
	b.Types(`input[name=merchant_id]`, strings.Repeat("0", 32)+"\r")
	b.Sees(texts.Say("en", "setup.credentials", nil))
	b.everywhere("first-merchant", func(lang string) {
		b.Click(`[data-do=go]`)
		b.Sees(texts.Say(lang, "setup.credentials", nil))
	})
	b.speak("en")
	b.Size(360)
	b.Says(`document.querySelector('input[name=merchant_id]').value = ''`)
	b.Types(`input[name=merchant_id]`, merchant+"\r")
	b.Visible(`#added`)
	b.Says(`document.querySelector('input[name=till0]').value = ''`)
	b.Types(`input[name=till0]`, "Bar Ə")
	b.everywhere("first-registers", func(string) { b.Visible(`#added`) })

	// Somebody gives up here: nothing was written, and the next one begins anew.
	if kept := s.kept(); len(kept) > 0 {
		t.Errorf("written before the last step: %v", kept)
	}
	b.speak("en")
	b.Click(`[data-do=next]`)
	b.everywhere("first-shop", func(string) { b.Click(`summary`) })
	b.speak("en")
	b.Chooses(`select[name=tax]`, "simplified8")
	b.Says(`document.querySelector('select[name=tax]').dispatchEvent(new Event('change')); ''`)
	b.Types(`input[name=manager]`, "Leyla Ə.\r")
	b.Visible(`#pin`)
	pin := b.Says(`document.querySelector('#pin').textContent`)
	s.token = b.Says(`document.querySelector('code.token').textContent`)
	b.everywhere("first-notes", func(lang string) { b.Sees(texts.Say(lang, "setup.token_of", texts.Args{"till": "Bar Ə"})) })
	// Till and register are at work without a restart; another browser sees no tokens.
	s.till().Post("/v1/receipts", sale("s-1"), wait).Want(http.StatusCreated)
	if status, _, _ := step(t, "http://"+s.listen, http.MethodGet, "state", nil); status != http.StatusNotFound {
		t.Errorf("another browser, afterwards: %d", status)
	}

	// A training, of which neither register nor journal nor log hears, and a real receipt
	// with its refund.
	b.speak("en")
	b.Click(`[data-do=noted]`)
	b.everywhere("first-test", func(lang string) { b.Sees(texts.Say(lang, "setup.test_training_what", nil)) })
	b.Size(360)
	said := p.err.String()
	for _, lang := range texts.Languages {
		b.speak(lang)
		b.Click(`[data-do=go]`)
		b.Holds(`document.querySelectorAll('#made .dot.fiscal').length == 2 && document.querySelectorAll('#made svg.qr').length == 2 && document.querySelectorAll('#made .training').length == 4`)
		b.Sees(texts.Say(lang, "setup.test_training_mark", nil))
		b.Blameless("first-training-" + lang)
	}
	if a := s.till().Get("/v1/receipts").Want(http.StatusOK); len(sim.Ledger()) != 1 || a.Field("receipts.0.id") != "s-1" || a.Field("receipts.1.id") != "" || p.err.String() != said {
		t.Errorf("the training left %+v, %s, %s", sim.Ledger(), a.Body, strings.TrimPrefix(p.err.String(), said))
	}
	b.Chooses(`select[name=kind]`, "real")
	b.Says(`document.querySelector('select[name=kind]').dispatchEvent(new Event('change')); ''`)
	b.everywhere("first-real", func(lang string) {
		b.Sees(texts.Say(lang, "setup.test_real_what", nil))
		b.Click(`[data-do=go]`)
		b.Holds(`document.querySelectorAll('#made .dot.fiscal').length == 2 && !document.querySelector('[data-do=go]:disabled')`)
	})
	made := sim.Ledger()[1:]
	for n, d := range made {
		if want := []simulator.Kind{simulator.Sale, simulator.Refund}[n%2]; d.Kind != want || d.Amount != 1 {
			t.Errorf("document %d of the test receipts: %+v", n+1, d)
		}
	}
	if len(made) != 2*6 {
		t.Errorf("the test receipts made %d documents", len(made))
	}
	// The register prints slowly, and the installer reloads the page and taps again: it
	// is the same sale, and its refund comes too.
	sim.Arm(simulator.Fault{Name: simulator.Slow, Route: "/sale", MS: 2000, Times: 1})
	b.Click(`[data-do=go]`)
	eventually(t, "the register prints", func() bool { return sim.State().Requests["/sale"] == 2+6 })
	browsertest.Within(b.Browser, "reload", chromedp.Reload())
	eventually(t, "the refund of the receipt that nobody waits for", func() bool { return len(sim.Ledger()) == 1+2*6+2 })
	b.Click(`[data-do=noted]`)
	b.Chooses(`select[name=kind]`, "real")
	b.Says(`document.querySelector('select[name=kind]').dispatchEvent(new Event('change')); ''`)
	b.Click(`[data-do=go]`)
	b.Holds(`document.querySelectorAll('#made .dot.fiscal').length == 2`)
	if made := sim.Ledger()[1+2*6:]; len(made) != 2 || made[0].Kind != simulator.Sale || made[1].Kind != simulator.Refund {
		t.Errorf("the test receipt that was asked for twice made %+v", made)
	}
	b.speak("en")
	b.Click(`[data-do=end]`)
	b.Chooses(`select[name=person]`, "Leyla Ə.")
	b.Types(`input[name=pin]`, pin+"\r")
	b.Visible(`#now.good`)
	b.Blameless("first-over")

	// It is over for ever: after a restart, on the machine itself, and for another code.
	over := func() {
		t.Helper()
		for _, from := range []string{base, "http://" + s.listen} {
			if status, _, _ := step(t, from, http.MethodGet, "state", nil); status != http.StatusNotFound {
				t.Errorf("it is open again at %s: %d", from, status)
			}
		}
		oneLine(t, command(t, agentBinary, "setup", "--code", "--config", s.file), "set up already")
	}
	if code, _ := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p = s.run()
	over()
	if strings.Contains(p.err.String(), "code=") {
		t.Error("the log tells a code")
	}
	s.till().Post("/v1/receipts", sale("s-2"), wait).Want(http.StatusCreated)
	r := command(t, agentBinary, "doctor", "--lang", "en", "--config", s.file)
	if !strings.Contains(r.out, "FIRST-1") {
		t.Errorf("the doctor does not see what was set up on the page:\n%s", r.out)
	}
	for _, secret := range []string{merchant, s.token, pin} {
		if strings.Contains(p.err.String()+r.out, secret) {
			t.Error("a secret is told")
		}
	}
}

// A register of each of the other makers is typed in on the page, after a wrong login:
// the second is the reserve of the first one's till, and hears nothing.
func TestFirstStart_TwoRegistersOfOneTill(t *testing.T) {
	omnitech := register(t, simulator.Config{Protocol: simulator.Omnitech, Listen: newHost() + ":8989", Serial: "FIRST-O", User: "api", Password: "right"})
	caspos := register(t, simulator.Config{Protocol: simulator.Caspos, Listen: newHost() + ":5544", Serial: "FIRST-C", User: "api", Password: "right", Quirks: []string{"login-required", "credentials-checked"}})
	s := newBox(t)
	p := s.run()
	b := &browser{browsertest.New(t)}
	b.Size(360)
	b.Open("http://" + s.listen + "/") // on the machine itself: no code
	b.speak("en")
	for n, sim := range []*simulator.Simulator{omnitech, caspos} {
		if n > 0 {
			b.Click(`[data-do=more]`)
		}
		b.Visible(`#found`)
		b.Click(`[data-do=type]`)
		b.Chooses(`select[name=driver]`, []string{"omnitech", "caspos"}[n])
		b.Says(`document.querySelector('select[name=driver]').dispatchEvent(new Event('change')); ''`)
		b.Types(`input[name=address]`, sim.Addr())
		b.Types(`input[name=username]`, "api")
		b.Types(`input[name=password]`, "wrong\r")
		b.Sees(texts.Say("en", "setup.credentials", nil))
		b.Says(`document.querySelector('input[name=password]').value = ''`)
		b.Types(`input[name=password]`, "right\r")
		b.Holds(fmt.Sprintf(`document.querySelectorAll('#added > li').length == %d`, n+1))
	}
	for n, name := range []string{"till0", "till1"} {
		b.Says(fmt.Sprintf(`document.querySelector('input[name=%s]').value = ''`, name))
		b.Types(fmt.Sprintf(`input[name=%s]`, name), []string{"Bar Ə", "bar ə"}[n])
	}
	b.Click(`[data-do=next]`)
	b.Types(`input[name=manager]`, "Leyla\r")
	b.Visible(`#pin`)
	b.Sees(texts.Say("en", "setup.spare", texts.Args{"name": "Kassa 2", "till": "bar ə"}))
	if got := b.Says(`String(document.querySelectorAll('code.token').length)`); got != "1" {
		t.Errorf("%s tills have a token", got)
	}
	s.token = b.Says(`document.querySelector('code.token').textContent`)
	b.Click(`[data-do=noted]`)
	b.Click(`[data-do=go]`)
	b.Holds(`document.querySelectorAll('#made .dot.fiscal').length == 2 && document.querySelectorAll('#made .training').length == 4`)
	b.Chooses(`select[name=kind]`, "real")
	b.Says(`document.querySelector('select[name=kind]').dispatchEvent(new Event('change')); ''`)
	b.Click(`[data-do=go]`)
	b.Holds(`document.querySelectorAll('#made .dot.fiscal').length == 2 && !document.querySelector('#made .training')`)
	b.Click(`[data-do=end]`)
	b.Blameless("first-two")
	if made := omnitech.Ledger(); len(made) != 2 || made[1].Kind != simulator.Refund || len(caspos.Ledger()) != 0 {
		t.Errorf("the test made %+v and %+v", made, caspos.Ledger())
	}
	// The one at work is off: the receipt waits, and is not sent to the other unasked.
	if err := omnitech.Close(); err != nil {
		t.Fatal(err)
	}
	c := s.till()
	c.Post("/v1/receipts", sale("s-1")).Want(http.StatusAccepted)
	a := c.Get("/v1/registers").Want(http.StatusOK)
	if a.Field("registers.0.mode") != "active" || a.Field("registers.1.mode") != "offline" || len(caspos.Ledger()) != 0 {
		t.Errorf("%s", a.Body)
	}
	if code, _ := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// Whoever guesses gets nowhere, and who is given up on leaves nothing; the machine
// itself needs no code. With a code of the cloud the agent is connected at the end.
func TestFirstStart_IsNobodyElses(t *testing.T) {
	t.Parallel()
	sim := register(t, simulator.Config{Serial: "FIRST-2"})
	cloud := newCloud(t)
	s := newBox(t)
	p := s.run()
	base, here := s.elsewhere(), "http://"+s.listen
	code := p.says(&p.err, `code=(\d{4}-\d{4})`)
	wrong := func(n int) string { return fmt.Sprintf("%04d%s", n, code[4:]) }
	misses := 0
	for n := 0; misses < 5; n++ {
		if wrong(n) == code {
			continue
		}
		misses++
		status, got, _ := step(t, base, http.MethodPost, "code", object{"code": wrong(n)})
		if want := []string{"setup_code_wrong", "setup_code_void"}[misses/5]; status != http.StatusUnauthorized || !strings.HasSuffix(fmt.Sprint(got["type"]), want) {
			t.Errorf("miss %d: %d %v", misses, status, got)
		}
	}
	if status, _, _ := step(t, base, http.MethodPost, "code", object{"code": code}); status != http.StatusUnauthorized {
		t.Errorf("the code is good after five misses: %d", status)
	}
	another := strings.TrimSpace(command(t, agentBinary, "setup", "--code", "--config", s.file).ok(t).out)
	status, _, cookies := step(t, base, http.MethodPost, "code", object{"code": another})
	if status != http.StatusOK || len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode {
		t.Fatalf("another code: %d %v", status, cookies)
	}
	if status, _, _ := step(t, base, http.MethodPost, "code", object{"code": another}); status != http.StatusUnauthorized {
		t.Errorf("a code is good twice: %d", status)
	}
	try := object{"driver": "azsmart", "address": sim.Addr(), "merchant_id": merchant}
	if status, got, _ := step(t, base, http.MethodPost, "try", try, cookies...); status != http.StatusOK {
		t.Fatalf("%d %v", status, got)
	}
	if status, got, _ := step(t, base, http.MethodPost, "try", try, cookies...); status != http.StatusUnprocessableEntity || got["detail"] != texts.Say("en", "setup.twice", nil) {
		t.Errorf("the same register twice: %d %v", status, got)
	}
	for what, bad := range map[string]object{
		"no manager":      {"tax": "vat18", "manager": " "},
		"no such tax":     {"tax": "vat99", "manager": "Leyla"},
		"too many names":  {"manager": "Leyla", "names": []object{{}, {}}},
		"a name too long": {"manager": strings.Repeat("x", 50)},
	} {
		if status, _, _ := step(t, base, http.MethodPost, "write", bad, cookies...); status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", what, status)
		}
	}
	// A page of another site gets nowhere, neither as a form.
	for header, value := range map[string]string{"Content-Type": "text/plain", "Origin": "https://evil.example", "Host": "evil.example"} {
		r, err := http.NewRequest(http.MethodPost, here+"/setup/end", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(header, value)
		if header == "Host" {
			r.Host = value
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusForbidden && answer.StatusCode != http.StatusUnsupportedMediaType {
			t.Errorf("with %s %s: %d", header, value, answer.StatusCode)
		}
	}
	if kept := s.kept(); len(kept) > 0 {
		t.Errorf("written before the last step: %v", kept)
	}
	p.kill() // given up
	p = s.run()
	if status, got, _ := step(t, base, http.MethodGet, "state", nil, cookies...); status != http.StatusUnauthorized {
		t.Errorf("the browser of before is still in: %d %v", status, got)
	}

	// On the machine itself, with a code of the cloud.
	if status, got, _ := step(t, here, http.MethodGet, "state", nil); status != http.StatusOK || len(got["registers"].([]any)) != 0 {
		t.Fatalf("on the machine itself: %d %v", status, got)
	}
	_, _, cookies = step(t, here, http.MethodPost, "try", try)
	status, got, _ := step(t, here, http.MethodPost, "write", object{"manager": "Leyla", "cloud": "http://" + cloud.listen, "code": cloud.code("first-a")}, cookies...)
	if status != http.StatusOK || got["done"].(object)["agent"] != "first-a" {
		t.Fatalf("%d %v", status, got)
	}
	if status, again, _ := step(t, here, http.MethodPost, "write", object{"manager": "Mallory"}, cookies...); status != http.StatusOK || fmt.Sprint(again) != fmt.Sprint(got) {
		t.Errorf("written twice: %d %v", status, again)
	}
	if status, got, _ := step(t, here, http.MethodPost, "end", nil, cookies...); status != http.StatusOK {
		t.Errorf("%d %v", status, got)
	}
	p.says(&p.err, `(beginning anew)`)
	eventually(t, "it is connected to the cloud", func() bool {
		var a struct {
			Online bool `json:"online"`
		}
		cloud.ask(http.MethodGet, "/agents/first-a", "", &a)
		return a.Online
	})
}
