package slip

import (
	"errors"
	"fmt"
	"html"
	"image/png"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/image/font/sfnt"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/slip/printer"
	"ekassa/agent/texts"
	"ekassa/cloud/hosttest"
)

var baku = time.FixedZone("+04:00", 4*60*60)

func sale(id string) receipt.Stored {
	return receipt.Stored{
		Receipt: receipt.Receipt{ID: id, Kind: receipt.Sale, Number: "123", Time: time.Date(2026, 11, 23, 19, 5, 0, 0, baku), Fiscal: true, Items: []receipt.Item{
			{Name: "Şəki pitisi, ğ ı ö ü ç Ə", Quantity: 1500, Price: 800, Unit: receipt.Piece},
			{Name: "Борщ со сметаной и чесночными пампушками, большая порция на двоих", Quantity: 1000, Price: 1250, Unit: receipt.Piece},
		}},
		Key: "1234567800000001", Seq: 1, Terminal: "till-1", State: receipt.Waiting, Reason: receipt.Reason{Code: register.WhyUnreachable},
	}
}

func about(receipt.Stored) Slip {
	return Slip{Lang: "az", Shop: "Nizami 10 – Şirvanşah", Till: "Kassa 1", Zone: baku}
}

// Every letter that we or a till in Azerbaijan may print is in the face.
func TestTheFaceHasEveryLetter(t *testing.T) {
	letters := "ABCÇDEƏFGĞHXIİJKQLMNOÖPRSŞTUÜVYZabcçdeəfgğhxıijkqlmnoöprsştuüvyz" +
		"АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдеёжзийклмнопрстуфхцчшщъыьэюя№×…«»–—’"
	for _, lang := range texts.Languages {
		for _, key := range []string{"not_fiscal", "number", "time", "till", "total", "why", "scan", "ask"} {
			letters += texts.Say(lang, "slip."+key, nil)
		}
	}
	var buf sfnt.Buffer
	for _, r := range letters {
		if g, err := face.GlyphIndex(&buf, r); err != nil || g == 0 {
			t.Errorf("%q is not in the face: %v", r, err)
		}
	}
}

// Slips of both widths in three languages: a test can only say that they are drawn,
// and how large; EKASSA_SHOTS keeps them for people to look at.
func TestDraw(t *testing.T) {
	dir := os.Getenv("EKASSA_SHOTS")
	for _, lang := range texts.Languages {
		for _, paper := range []int{58, 80} {
			s := about(receipt.Stored{})
			s.Lang, s.Of, s.Link = lang, sale("a"), "http://ekassa.local/r/0123456789abcdefABCDEF"
			img, err := s.Draw(paper)
			if err != nil {
				t.Fatal(err)
			}
			if img.Rect.Dx() != dots[paper] || img.Rect.Dy() < 600 || img.Rect.Dy() > 1600 {
				t.Errorf("%s, %d mm: %v", lang, paper, img.Rect)
			}
			if dir == "" {
				continue
			}
			f, err := os.Create(filepath.Join(dir, fmt.Sprintf("slip-%s-%d.png", lang, paper)))
			if err == nil {
				err = errors.Join(png.Encode(f, img), f.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	long := about(receipt.Stored{})
	long.Of = sale("long")
	long.Of.Items = append(long.Of.Items, receipt.Item{Name: strings.Repeat("Ə", 300) + "\x1b@\x00\u202e", Quantity: 1000, Price: 100})
	for range 500 {
		long.Of.Items = append(long.Of.Items, receipt.Item{Name: "Ə", Quantity: 1000, Price: 100})
	}
	if img, err := long.Draw(58); err != nil || img.Rect.Dy() > 8000 {
		t.Errorf("a receipt of 500 lines: %v, %v", img.Rect, err)
	}
}

func TestTokensAreForOneReceiptOfOneAgent(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	a, err := OpenLinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := OpenLinks(other)
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenLinks(dir) // after a restart
	if err != nil {
		t.Fatal(err)
	}
	token := a.Token(1234567800000001)
	if key, ok := again.Key(token); !ok || key != 1234567800000001 || len(token) != 22 {
		t.Errorf("%s is %d, %t", token, key, ok)
	}
	if _, ok := b.Key(token); ok {
		t.Error("another agent knows the token")
	}
	for n := range len(token) { // not one letter may differ
		for _, c := range "Aa0_" {
			if x := token[:n] + string(c) + token[n+1:]; x != token {
				if _, ok := a.Key(x); ok {
					t.Errorf("%s is taken for %s", x, token)
				}
			}
		}
	}
	if info, err := os.Stat(filepath.Join(dir, keyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret: %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(dir, keyFile), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLinks(dir); err == nil {
		t.Error("a secret that was cut off is taken")
	}
}

func FuzzToken(f *testing.F) {
	l, err := OpenLinks(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(l.Token(1))
	f.Add("AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if key, ok := l.Key(s); ok && l.Token(key) != s {
			t.Errorf("%q is another spelling of %d", s, key)
		}
	})
}

// counter is one with a printer, or the address where there will be one, and
// receipts that a test may change.
type counter struct {
	*Counter
	testing.TB
	mu       sync.Mutex
	receipts map[string]receipt.Stored
}

func newCounter(t testing.TB, printer string) *counter {
	t.Helper()
	links, err := OpenLinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{TB: t, receipts: map[string]receipt.Stored{}}
	c.Counter = NewCounter(Config{
		Printer: printer, Paper: 58, Links: links, Base: func() string { return "http://ekassa.local" }, About: about, Log: slog.New(slog.DiscardHandler),
		Get: func(_, id string) (receipt.Stored, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			s, ok := c.receipts[id]
			if !ok {
				return s, receipt.ErrNotFound
			}
			return s, nil
		},
		Pace: Pace{Waiting: 30 * time.Millisecond, Checking: 60 * time.Millisecond, Guest: time.Minute, Again: 20 * time.Millisecond},
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Run(t.Context())
	}()
	t.Cleanup(func() { <-done })
	return c
}

func (c *counter) set(s receipt.Stored) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receipts[s.ID] = s
}

func (c *counter) offer(s receipt.Stored) {
	c.set(s)
	c.Offer(s)
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func newPrinter(t testing.TB, listen string) *printer.Printer {
	t.Helper()
	p, err := printer.Start(printer.Config{Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return p
}

func TestASlipIsPrintedOnceForWhoStandsWithoutPaper(t *testing.T) {
	p := newPrinter(t, "127.0.0.1:0")
	c := newCounter(t, p.Addr())
	// Of these none needs one.
	for id, change := range map[string]func(*receipt.Stored){
		"fiscal":     func(s *receipt.Stored) { s.State = receipt.Fiscal },
		"queued":     func(s *receipt.Stored) { s.Reason = receipt.Reason{} },
		"sending":    func(s *receipt.Stored) { s.State, s.Reason = receipt.Sending, receipt.Reason{} },
		"not fiscal": func(s *receipt.Stored) { s.State = receipt.NonFiscal },
		"held":       func(s *receipt.Stored) { s.State = receipt.Held },
		"cash":       func(s *receipt.Stored) { s.Kind = receipt.Deposit },
		"correction": func(s *receipt.Stored) { s.Kind = receipt.Correction },
	} {
		s := sale(id)
		change(&s)
		c.offer(s)
	}
	c.offer(sale("waiting"))
	checking := sale("checking")
	checking.State = receipt.Checking
	c.offer(checking)
	eventually(t, "two slips", func() bool { return c.State().Printed == 2 && len(p.Papers()) == 2 })
	// One that is sent later, and then found to be away, gets its slip then.
	late := sale("sending")
	c.set(late)
	eventually(t, "a third", func() bool { return c.State().Printed == 3 && len(p.Papers()) == 3 })

	// By hand as often as a person wants, and of what may become fiscal only.
	for range 2 {
		if _, err := c.Print(t.Context(), "till-1", "waiting"); err != nil {
			t.Error(err)
		}
	}
	for _, id := range []string{"fiscal", "not fiscal", "cash"} {
		if _, err := c.Print(t.Context(), "till-1", id); !errors.Is(err, receipt.ErrMove) {
			t.Errorf("%s: %v", id, err)
		}
	}
	eventually(t, "all papers are cut", func() bool { return len(p.Papers()) == 5 })
	if n := c.State(); n.Printed != 5 || n.Failed != 0 || n.Missed != 0 || n.Problem != "" {
		t.Errorf("%+v", n)
	}
}

func TestAPrinterThatIsNotReadyIsTriedAgain(t *testing.T) {
	t.Parallel()
	p := newPrinter(t, "127.0.0.1:0")
	for problem, state := range map[Problem]printer.State{NoPaper: {NoPaper: true}, CoverOpen: {CoverOpen: true}} {
		c := newCounter(t, p.Addr())
		p.Set(state)
		had := len(p.Papers())
		c.offer(sale("during " + string(problem)))
		eventually(t, string(problem), func() bool { return c.State().Problem == problem })
		if _, err := c.Print(t.Context(), "till-1", "during "+string(problem)); err == nil {
			t.Errorf("%s: printed by hand", problem)
		}
		if len(p.Papers()) != had {
			t.Errorf("%s: it printed", problem)
		}
		p.Set(printer.State{Mute: true}) // and from now on it answers no question
		eventually(t, "a slip after "+string(problem), func() bool { return len(p.Papers()) == had+1 && c.State().Problem == "" })
		if n := c.State(); n.Printed != 1 || n.Failed != 0 {
			t.Errorf("%+v", n)
		}
	}
	if err := Probe(t.Context(), p.Addr()); err != nil {
		t.Error(err)
	}
}

// A printer that answers late is heard. One that never does is not waited for before
// each slip, and yet heard once it speaks.
func TestASlowAnswerCounts(t *testing.T) {
	t.Parallel()
	p := newPrinter(t, "127.0.0.1:0")
	c := newCounter(t, p.Addr())
	c.set(sale("a"))
	print := func(want Problem, sent bool) {
		t.Helper()
		var no *PrinterError
		switch _, err := c.Print(t.Context(), "till-1", "a"); {
		case want == "" && err != nil:
			t.Error(err)
		case want != "" && (!errors.As(err, &no) || no.Problem != want || no.Sent != sent):
			t.Errorf("%v, want %s, sent: %t", err, want, sent)
		}
	}
	p.Set(printer.State{NoPaper: true, Late: time.Second})
	print(NoPaper, false)
	p.Set(printer.State{Mute: true})
	print("", true)
	began := time.Now()
	print("", true)
	print("", true)
	if took := time.Since(began); took >= 2*statusTime {
		t.Errorf("it never answers, and was waited for: %s", took)
	}
	p.Set(printer.State{CoverOpen: true}) // it has learned to speak, while the slip is on its way
	print(CoverOpen, true)
	print(CoverOpen, false)
	p.Set(printer.State{})
	print("", true)
	if n := c.State(); n.Printed != 4 || n.Failed != 1 || n.Problem != "" {
		t.Errorf("%+v", n)
	}
}

func TestAPrinterThatIsOffIsTriedUntilItIsOn(t *testing.T) {
	addr := hosttest.New() + ":9100"
	c := newCounter(t, addr)
	c.offer(sale("a"))
	eventually(t, "the printer is missed", func() bool { return c.State().Problem == Unreachable })
	if err := Probe(t.Context(), addr); err == nil {
		t.Error("nothing is there, and it is well")
	}
	p := newPrinter(t, addr)
	eventually(t, "the slip", func() bool { return len(p.Papers()) == 1 && c.State().Printed == 1 })
}

// What was sent in part may have come out in part: it is not sent again.
func TestASlipThatBrokeOffIsNotPrintedAgain(t *testing.T) {
	p := newPrinter(t, "127.0.0.1:0")
	p.Set(printer.State{Rude: true})
	c := newCounter(t, p.Addr())
	c.offer(sale("a"))
	eventually(t, "it breaks off", func() bool { return c.State().Failed == 1 })
	p.Set(printer.State{})
	c.offer(sale("b"))
	eventually(t, "the next one", func() bool { return c.State().Printed == 1 })
	if n := c.State(); n.Failed != 1 || n.Problem != "" || len(p.Papers()) != 1 {
		t.Errorf("%+v, %d papers", n, len(p.Papers()))
	}
}

func TestOfferNeverWaits(t *testing.T) {
	c := NewCounter(Config{}) // nobody prints
	for range 3 * most {
		c.Offer(sale("a"))
	}
	if n := c.State().Missed; n != 2*most {
		t.Errorf("%d missed", n)
	}
}

func TestThePageShowsOneReceiptAndNothingElse(t *testing.T) {
	links, err := OpenLinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := sale("a")
	p := &Page{Links: links, About: about, Log: slog.New(slog.DiscardHandler), ByKey: func(key int64) (receipt.Stored, error) {
		switch key {
		case 1:
			return s, nil
		case 2:
			return receipt.Stored{}, receipt.ErrStorage
		}
		return receipt.Stored{}, receipt.ErrNotFound
	}}
	get := func(path string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		for _, h := range headers {
			k, v, _ := strings.Cut(h, ": ")
			r.Header.Set(k, v)
		}
		r.RemoteAddr = fmt.Sprintf("192.168.1.%d:5000", time.Now().UnixNano()%250) // many phones
		p.calls = calls{}                                                          // which have all day
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		return w
	}
	own := "/r/" + links.Token(1)
	for state, said := range map[receipt.State]string{
		receipt.Waiting: "guest.waiting", receipt.Checking: "guest.waiting", receipt.Held: "guest.person", receipt.Refused: "guest.person",
		receipt.Withdrawn: "guest.withdrawn", receipt.NonFiscal: "guest.non_fiscal", receipt.Fiscal: "guest.fiscal",
	} {
		s.State, s.Document = state, nil
		if state == receipt.Fiscal {
			s.Document = &receipt.Document{FiscalID: "BqZ5C1vTk9pXyyy", ShortID: "BqZ5C1vTk9pX", URL: "https://monitoring.e-kassa.gov.az/#/index?doc=BqZ5C1vTk9pX"}
		}
		for _, lang := range texts.Languages {
			w := get(own, "Accept-Language: "+lang)
			body := strings.ReplaceAll(w.Body.String(), "&#39;", "'")
			if w.Code != http.StatusOK || !strings.Contains(body, texts.Say(lang, said, nil)) || !strings.Contains(body, "24.50 AZN") || !strings.Contains(body, "23.11.2026 19:05") {
				t.Errorf("%s in %s: %d %s", state, lang, w.Code, body)
			}
			if fiscal := strings.Contains(body, "BqZ5C1vTk9pX"); fiscal != (state == receipt.Fiscal) {
				t.Errorf("%s: the fiscal id is shown: %t", state, fiscal)
			}
			for _, secret := range []string{"pitisi", "Борщ", s.Key, "till-1", "Kassa 1"} {
				if strings.Contains(body, secret) {
					t.Errorf("%s: the page tells %s", state, secret)
				}
			}
			if w := get(own+"?lang="+lang, "Accept-Language: en"); !strings.Contains(w.Body.String(), `<html lang="`+lang+`"`) {
				t.Errorf("?lang=%s gives another language", lang)
			}
		}
	}
	w := get(own)
	for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Robots-Tag": "noindex, nofollow"} {
		if w.Header().Get(name) != want {
			t.Errorf("%s: %q", name, w.Header().Get(name))
		}
	}
	for path, status := range map[string]int{
		"/r/" + links.Token(3): 404, "/r/1": 404, "/r/": 404, "/": 404, own + "/x": 404, "/r/" + links.Token(2): 503,
		"/r/" + strings.Repeat("A", 22): 404,
	} {
		if w := get(path); w.Code != status || strings.Contains(w.Body.String(), "24.50") {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	s.Kind, s.State = receipt.Deposit, receipt.Waiting
	if w := get(own); w.Code != 404 {
		t.Errorf("cash of the drawer: %d", w.Code)
	}
}

// A page that cannot be shown says so in the guest's language, and has the phone ask
// again by itself: once it can be, the receipt is there.
func TestAPageThatCannotBeShownIsAskedForAgain(t *testing.T) {
	links, err := OpenLinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	journal := receipt.ErrStorage
	p := &Page{Links: links, About: about, Log: slog.New(slog.DiscardHandler), ByKey: func(int64) (receipt.Stored, error) { return sale("a"), journal }}
	server := httptest.NewServer(p)
	defer server.Close()
	path := "/r/" + links.Token(1)
	get := func(accept, query string) (status int, refresh, body string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Language", accept)
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Body.Close()
		data, err := io.ReadAll(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		return w.StatusCode, w.Header.Get("Refresh"), html.UnescapeString(string(data))
	}
	inAll := func(want int) {
		t.Helper()
		for _, lang := range texts.Languages {
			for _, asked := range [][2]string{{lang, ""}, {"ja", "?lang=" + lang}} {
				status, refresh, body := get(asked[0], asked[1])
				if status != want || refresh != "10" || !strings.Contains(body, texts.Say(lang, "guest.later", nil)) || !strings.Contains(body, `<html lang="`+lang+`"`) {
					t.Errorf("%v: %d, Refresh %q\n%s", asked, status, refresh, body)
				}
				if strings.Contains(body, "24.50") || strings.Contains(body, texts.Say(lang, "guest.nowhere", nil)) {
					t.Errorf("%v: %d says more than that:\n%s", asked, status, body)
				}
			}
		}
	}
	inAll(http.StatusServiceUnavailable)
	journal = nil
	if status, refresh, body := get("az", ""); status != http.StatusOK || refresh != "" || !strings.Contains(body, "24.50") {
		t.Errorf("once it can be shown: %d, Refresh %q\n%s", status, refresh, body)
	}
	p.calls.mu.Lock()
	p.calls.all["link 1"] = call{used: 1e6, at: time.Now()} // a whole table has pulled at it
	p.calls.mu.Unlock()
	inAll(http.StatusTooManyRequests)
}

// Behind a proxy all guests come from one address: each link has a bucket of its
// own, and only what is no link shares one.
func TestGuestsBehindOneProxyDoNotSlowEachOtherDown(t *testing.T) {
	links, err := OpenLinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := &Page{Links: links, About: about, Log: slog.New(slog.DiscardHandler), ByKey: func(int64) (receipt.Stored, error) { return sale("a"), nil }}
	get := func(path string) int {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.RemoteAddr = "192.168.1.7:5000"
		p.ServeHTTP(w, r)
		return w.Code
	}
	slowed := func(path string) (n int) {
		for range 2 * callBurst {
			if get(path) == http.StatusTooManyRequests {
				n++
			}
		}
		return n
	}
	if slowed("/r/"+strings.Repeat("A", 22)) == 0 || slowed("/r/"+links.Token(1)) == 0 {
		t.Error("whoever asks without end is not slowed down")
	}
	for key := int64(2); key < 2+2*callBurst; key++ {
		if got := get("/r/" + links.Token(key)); got != http.StatusOK {
			t.Fatalf("link %d after others were slowed down: %d", key, got)
		}
	}
}

func TestWhoTriesLinksIsSlowedDown(t *testing.T) {
	var c calls
	now := time.Now()
	for n := range callBurst + 5 {
		if ok := c.take("192.168.1.7", now); ok != (n < callBurst) {
			t.Errorf("call %d: %t", n, ok)
		}
	}
	if !c.take("192.168.1.8", now) {
		t.Error("another phone must wait too")
	}
	if !c.take("192.168.1.7", now.Add(2*time.Second)) {
		t.Error("it must wait for ever")
	}
	for n := range callersMost + 50 {
		c.take(fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255), now)
	}
	if len(c.all) > callersMost {
		t.Errorf("%d addresses are kept", len(c.all))
	}
	if !c.take("192.168.1.9", now.Add(time.Minute)) {
		t.Error("who flooded long ago still keeps others out")
	}
}
