package e2e

import (
	"errors"
	"fmt"
	"image/png"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"ekassa/agent"
	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
	"ekassa/agent/slip"
	"ekassa/agent/slip/printer"
	"ekassa/agent/texts"
	"ekassa/agent/till/tilltest"
	"ekassa/cloud/browsertest"
)

// hungry is the patience of guests in tests.
var hungry = func() agent.Options {
	o := fast
	o.Slips = slip.Pace{Waiting: 200 * time.Millisecond, Checking: 400 * time.Millisecond, Guest: 5 * time.Minute, Again: 100 * time.Millisecond}
	return o
}()

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

// slipShop is one whose register is not there yet, with a receipt printer.
func slipShop(t testing.TB, register, printer string) *shop {
	t.Helper()
	s := newShop(t, at(register))
	s.config["slip"] = object{"printer": printer, "link": "http://" + s.listen, "shop": "Nizami 10, Şəki"}
	s.write()
	return s
}

// read reads the QR code of a paper as a phone does, whichever way it is held: one way,
// the library mistakes two papers of a thousand, each of which it reads the other ways.
func read(t testing.TB, p printer.Paper) string {
	t.Helper()
	bitmap, err := gozxing.NewBinaryBitmapFromImage(p.Image)
	if err != nil {
		t.Fatal(err)
	}
	var misread []error
	for range 4 {
		code, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true})
		if err == nil {
			return code.GetText()
		}
		misread = append(misread, err)
		if bitmap, err = bitmap.RotateCounterClockwise(); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("the QR code of the slip cannot be read: %v", errors.Join(misread...))
	return ""
}

func keep(t testing.TB, p printer.Paper, name string) {
	t.Helper()
	if browsertest.Shots == "" {
		return
	}
	f, err := os.Create(filepath.Join(browsertest.Shots, name+".png"))
	if err == nil {
		err = errors.Join(png.Encode(f, p.Image), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func apiSlip(t *testing.T) {
	paper := newPrinter(t, newHost()+":9100")
	config := simulator.Config{Listen: newHost() + ":8008"}
	s := slipShop(t, config.Listen, paper.Addr())
	guests := newHost() + ":8080"
	s.config["slip"].(object)["listen"] = guests
	s.write()
	stop := s.serve(hungry)
	c := s.till()
	if a := c.Get("/v1/status").Want(http.StatusOK); a.Field("slip.ready") != "true" {
		t.Errorf("%s", a.Body)
	}
	c.Post("/v1/receipts", sale("a", object{"number": "ƏŞĞ-7"})).Want(http.StatusAccepted)
	c.Post("/v1/receipts", sale("a", object{"number": "ƏŞĞ-7"})).Want(http.StatusOK) // the till asks again: no second slip
	eventually(t, "a slip", func() bool { return len(paper.Papers()) == 1 })
	link := read(t, paper.Papers()[0])
	if a := c.Get("/v1/receipts/a/details").Want(http.StatusOK); a.Field("page") != link || !strings.HasPrefix(link, "http://"+s.listen+"/r/") {
		t.Errorf("the slip leads to %s, and the till is told of %s", link, a.Field("page"))
	}
	token := strings.TrimPrefix(link, "http://"+s.listen)

	// Its own port has the page and nothing else; another's name is refused as ever.
	for url, status := range map[string]int{
		"http://" + guests + token: 200, link: 200, "http://" + guests + "/": 404, "http://" + guests + "/v1/status": 404,
		"http://" + guests + "/page/app.js": 404, "http://" + guests + "/r/AAAAAAAAAAAAAAAAAAAAAA": 404, link + "x": 404,
	} {
		if got := asks(t, url, ""); got != status {
			t.Errorf("%s: %d, want %d", url, got, status)
		}
	}
	if got := asks(t, link, "evil.example"); got != http.StatusForbidden {
		t.Errorf("under another name: %d", got)
	}

	// By hand, as often as people want.
	c.Post("/v1/receipts/a/slip", `{"who":"Aysel M."}`).Want(http.StatusOK)
	eventually(t, "another slip", func() bool { return len(paper.Papers()) == 2 })
	if again := read(t, paper.Papers()[1]); again != link {
		t.Errorf("another slip leads to %s", again)
	}
	c.Post("/v1/receipts/none/slip", "").Want(http.StatusNotFound)

	// The printer is out of paper: tills sell on, and everybody is told.
	paper.Set(printer.State{NoPaper: true})
	c.Post("/v1/receipts", sale("b")).Want(http.StatusAccepted)
	a := c.Post("/v1/receipts/a/slip", "").Want(http.StatusServiceUnavailable)
	if want := texts.Say("en", "printer.no_paper", nil); a.Field("detail") != want || a.Field("errors.0.code") != "printer" {
		t.Errorf("%s", a.Body)
	}
	a = c.Get("/v1/status").Want(http.StatusOK)
	if a.Field("slip.ready") != "false" || a.Field("slip.problem.code") != "no_paper" {
		t.Errorf("%s", a.Body)
	}
	metrics := string(c.Get("/metrics").Want(http.StatusOK).Body)
	for _, line := range []string{`ekassa_slip_printer_ready{printer="` + paper.Addr() + `"} 0`, `ekassa_slips_total{outcome="printed",printer="` + paper.Addr() + `"} 2`} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics have no %s", line)
		}
	}
	doctor := command(t, agentBinary, "doctor", "--lang", "en", "--config", s.file)
	if !strings.Contains(doctor.out, "slip printer "+paper.Addr()) || !strings.Contains(doctor.out, "no_paper") || !strings.Contains(doctor.out, "slips lead to http://"+s.listen) {
		t.Errorf("%s", doctor.out)
	}
	paper.Set(printer.State{})
	eventually(t, "the slip of b", func() bool { return len(paper.Papers()) == 3 })

	// The register is back: what became fiscal has no slip any more. The guest's link
	// outlives the agent.
	sim := register(t, config)
	s.reaches("b", receipt.Fiscal)
	c.Post("/v1/receipts/a/slip", "").Want(http.StatusConflict)
	stop()
	calm := hungry // a machine that is slow makes no slip
	calm.Slips.Waiting, calm.Slips.Checking = time.Hour, time.Hour
	s.serve(calm)
	c.Post("/v1/receipts", sale("c"), wait).Want(http.StatusCreated)
	if got := asks(t, link, ""); got != http.StatusOK {
		t.Errorf("after a restart: %d", got)
	}
	if n := len(paper.Papers()); n != 3 {
		t.Errorf("%d papers, want 3", n)
	}
	if n := len(sim.Ledger()); n != 3 {
		t.Errorf("%d documents, want 3", n)
	}

	// Where no printer is set up there is none.
	bare := newShop(t, at(sim.Addr()))
	bare.serve(fast)
	if a := bare.till().Post("/v1/receipts/a/slip", "").Want(http.StatusConflict); a.Field("errors.0.code") != "no_printer" {
		t.Errorf("%s", a.Body)
	}
	if a := bare.till().Get("/v1/status").Want(http.StatusOK); a.Field("slip") != "null" && a.Field("slip") != "" {
		t.Errorf("%s", a.Body)
	}
	if got := asks(t, "http://"+bare.listen+token, ""); got != http.StatusNotFound {
		t.Errorf("another agent's link: %d", got)
	}
}

// asks asks for a page as a phone does, under another name where one is given.
func asks(t testing.TB, url, host string) int {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// A dead printer keeps nobody waiting: while it is tried, tills are told yes, and
// receipts become fiscal as soon as the register is there.
func TestSlip_ADeadPrinterDisturbsNoSale(t *testing.T) {
	t.Parallel()
	hung, _ := silent(t) // takes the connection, and says nothing for ever
	for name, addr := range map[string]string{"off": newHost() + ":9100", "hung": hung} {
		config := simulator.Config{Listen: newHost() + ":8008"}
		s := slipShop(t, config.Listen, addr)
		s.serve(hungry)
		c := s.till()
		c.Post("/v1/receipts", sale("first")).Want(http.StatusAccepted)
		said := map[string]string{"off": `ekassa_slip_printer_ready{printer="` + addr + `"} 0`, "hung": `ekassa_slips_total{outcome="printed",printer="` + addr + `"} 1`}[name]
		eventually(t, "the printer that is "+name+" was tried", func() bool {
			return strings.Contains(string(c.Get("/metrics").Want(http.StatusOK).Body), said)
		})
		for n := range 5 { // more guests wait for it
			c.Post("/v1/receipts", sale(fmt.Sprint("more-", n))).Want(http.StatusAccepted)
		}
		sim := register(t, config)
		c.Post("/v1/receipts", sale("last")).Want(http.StatusAccepted)
		s.reaches("first", receipt.Fiscal)
		s.reaches("last", receipt.Fiscal)
		if n := len(sim.Ledger()); n != 7 {
			t.Errorf("%s: %d documents, want 7", name, n)
		}
	}
}

// Each room has its printer, of its own width; the till without one uses that for all.
// One that is dead or hangs keeps no other from printing, and is told to its own till.
func TestSlip_EachRoomHasItsPrinter(t *testing.T) {
	t.Parallel()
	hall, bar := newPrinter(t, newHost()+":9100"), newPrinter(t, newHost()+":9100")
	hung, _ := silent(t)
	s := slipShop(t, newHost()+":8008", hall.Addr()) // its register is away
	s.config["slip"].(object)["printers"] = []any{
		object{"terminal": "till-2", "printer": bar.Addr(), "paper": 58}, object{"terminal": "terrace", "printer": hung},
	}
	s.settings["terminals"] = append(s.settings["terminals"].([]any), object{"id": "terrace", "name": "Terrace"})
	s.write()
	stop := s.serve(hungry)
	at := func(till string) *tilltest.Client {
		c := tilltest.New(t, "http://"+s.listen, s.newToken(till))
		c.Language = "en"
		return c
	}
	second, terrace := at("till-2"), at("terrace")
	for n := range 3 { // the printer there takes its time over each
		terrace.Post("/v1/receipts", sale(fmt.Sprint("t-", n))).Want(http.StatusAccepted)
	}
	s.till().Post("/v1/receipts", sale("a")).Want(http.StatusAccepted)
	second.Post("/v1/receipts", sale("a")).Want(http.StatusAccepted)
	eventually(t, "a slip in each room", func() bool { return len(hall.Papers()) == 1 && len(bar.Papers()) == 1 })
	wide, narrow := hall.Papers()[0].Image.Rect.Dx(), bar.Papers()[0].Image.Rect.Dx()
	if wide != 576 || narrow != 384 {
		t.Errorf("the slips are %d and %d dots wide, want 576 and 384", wide, narrow)
	}
	second.Post("/v1/receipts/a/slip", "").Want(http.StatusOK)
	eventually(t, "another one at the bar", func() bool { return len(bar.Papers()) == 2 })

	bar.Set(printer.State{CoverOpen: true})
	second.Post("/v1/receipts/a/slip", "").Want(http.StatusServiceUnavailable)
	if a := second.Get("/v1/status").Want(http.StatusOK); a.Field("slip.problem.code") != "cover_open" {
		t.Errorf("%s", a.Body)
	}
	s.till().Post("/v1/receipts/a/slip", "").Want(http.StatusOK)
	eventually(t, "another one in the hall", func() bool { return len(hall.Papers()) == 2 })
	if a := s.till().Get("/v1/status").Want(http.StatusOK); a.Field("slip.ready") != "true" {
		t.Errorf("%s", a.Body)
	}
	doctor := command(t, agentBinary, "doctor", "--lang", "en", "--config", s.file)
	for _, want := range []string{"slip printer " + hall.Addr() + ": answers", "slip printer " + bar.Addr() + " (till-2): ", "cover_open"} {
		if !strings.Contains(doctor.out, want) {
			t.Errorf("the doctor does not say %s:\n%s", want, doctor.out)
		}
	}
	stop()

	// Without one for all, a till that has none of its own gives no slips.
	delete(s.config["slip"].(object), "printer")
	s.write()
	s.serve(hungry)
	if a := s.till().Post("/v1/receipts/a/slip", "").Want(http.StatusConflict); a.Field("errors.0.code") != "no_printer" {
		t.Errorf("%s", a.Body)
	}
	if a := s.till().Get("/v1/status").Want(http.StatusOK); a.Field("slip") != "null" && a.Field("slip") != "" {
		t.Errorf("%s", a.Body)
	}
	if a := second.Get("/v1/status").Want(http.StatusOK); a.Field("slip.ready") != "true" {
		t.Errorf("%s", a.Body)
	}
}

// A guest in three languages, from the paper to the fiscal id.
func TestSlip_LeadsTheGuestToTheFiscalID(t *testing.T) {
	b := &browser{browsertest.New(t)}
	for _, lang := range texts.Languages {
		t.Run(lang, func(t *testing.T) {
			b.Of(t)
			paper := newPrinter(t, newHost()+":9100")
			config := simulator.Config{Listen: newHost() + ":8008"}
			s := slipShop(t, config.Listen, paper.Addr())
			s.settings["language"] = lang
			s.write()
			s.serve(hungry)
			s.till().Post("/v1/receipts", sale("a", object{"items": []any{
				object{"name": "Şəki pitisi", "quantity": "1", "price": "8.00"}, object{"name": "Борщ", "quantity": "2", "price": "2.00"},
			}})).Want(http.StatusAccepted)
			eventually(t, "a slip", func() bool { return len(paper.Papers()) == 1 })
			keep(t, paper.Papers()[0], "slip-"+lang)
			b.Size(360)
			b.Open(read(t, paper.Papers()[0]) + "?lang=" + lang)
			b.Sees(texts.Say(lang, "guest.waiting", nil))
			b.Sees("12.00 AZN")
			b.Sees("Nizami 10, Şəki")
			b.Blameless("guest-waiting-" + lang)
			for _, other := range texts.Languages { // one tap each
				b.Leaves(func() { b.Click(`nav a[lang=` + other + `]`) })
				b.Sees(texts.Say(other, "guest.waiting", nil))
			}
			b.Leaves(func() { b.Click(`nav a[lang=` + lang + `]`) })

			sim := register(t, config)
			s.reaches("a", receipt.Fiscal)
			b.Sees(texts.Say(lang, "guest.fiscal", nil)) // the page has looked again by itself
			short := receipt.ShortID(sim.Ledger()[0].FiscalID)
			b.Sees(short)
			b.Holds(`document.querySelector('img')?.naturalWidth > 0 && document.querySelector('a.go')?.href.includes(` + fmt.Sprintf("%q", short) + `)`)
			b.Blameless("guest-fiscal-" + lang)

			b.Open("http://" + s.listen + "/r/AAAAAAAAAAAAAAAAAAAAAA?lang=" + lang)
			b.Sees(texts.Say(lang, "guest.nowhere", nil))
			b.Blameless("guest-nowhere-" + lang)

			// Staff print another slip, of what is not fiscal yet.
			if err := sim.Close(); err != nil {
				t.Fatal(err)
			}
			s.till().Post("/v1/receipts", sale("later")).Want(http.StatusAccepted)
			eventually(t, "the next slip", func() bool { return len(paper.Papers()) == 2 })
			b.enter(s, lang, "Leyla", s.person("Leyla", "cashier"))
			b.Click(`[data-id=later]`)
			b.Click(`[data-do=slip]`)
			eventually(t, "a slip by hand", func() bool { return len(paper.Papers()) == 3 })
			b.Blameless("slip-by-hand-" + lang)
		})
	}
}
