package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	cdlog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
	"ekassa/agent/texts"
)

// shots is where screenshots are kept; empty: nowhere.
var shots = os.Getenv("EKASSA_SHOTS")

// browser is a headless Chromium that remembers what its pages complain of.
type browser struct {
	testing.TB
	ctx context.Context

	mu     sync.Mutex
	faults []string
}

func newBrowser(t testing.TB) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true))
	allocated, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	b := &browser{TB: t}
	b.ctx, cancel = chromedp.NewContext(allocated)
	t.Cleanup(cancel)
	if err := chromedp.Do(b.ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("start Chromium: %v; it is in Debian's package chromium", err)
	}
	err := chromedp.Listen(b.ctx, func(event any) {
		fault := ""
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			fault = e.ExceptionDetails.Text
			if x := e.ExceptionDetails.Exception; x != nil {
				fault += " " + x.Description
			}
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
				for _, a := range e.Args {
					fault += string(a.Value) + a.Description + " "
				}
			}
		case *cdlog.EventEntryAdded: // what the browser itself refuses; an API's answer is no fault
			if e.Entry.Level == cdlog.EntryLevelError && e.Entry.Source != cdlog.EntrySourceNetwork {
				fault = e.Entry.Text
			}
		}
		if fault != "" {
			b.mu.Lock()
			b.faults = append(b.faults, fault)
			b.mu.Unlock()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// within runs a browser action, with the patience of a test.
func within[T any](b *browser, what string, a chromedp.Action[T]) T {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ''`))
		b.Fatalf("%s: %v; the page says:\n%s\nand complains of %q", what, err, text, b.complaints())
	}
	return v
}

// holds waits until a condition in the page does.
func (b *browser) holds(script string) {
	b.Helper()
	within(b, script, chromedp.Poll[chromedp.Void]("!!("+script+")", chromedp.WithPollingInterval(30*time.Millisecond), chromedp.WithPollingTimeout(0)))
}

// sees waits until the page shows the words.
func (b *browser) sees(words string) {
	b.Helper()
	b.holds(fmt.Sprintf("document.body.innerText.includes(%q)", words))
}

func (b *browser) open(url string) {
	b.Helper()
	within(b, "open "+url, chromedp.Navigate(url))
}

func (b *browser) visible(selector string) {
	b.Helper()
	b.holds(fmt.Sprintf("document.querySelector(%q)?.checkVisibility()", selector))
}

func (b *browser) gone(selector string) {
	b.Helper()
	b.holds(fmt.Sprintf("!document.querySelector(%q)?.checkVisibility()", selector))
}

// click clicks on what the selector finds first, once it can be clicked.
func (b *browser) click(selector string) {
	b.Helper()
	b.visible(selector)
	b.holds(fmt.Sprintf("!document.querySelector(%q)?.disabled", selector))
	within(b, "click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// types presses keys in a field.
func (b *browser) types(selector, keys string) {
	b.Helper()
	b.visible(selector)
	within(b, "type into "+selector, chromedp.SendKeys(chromedp.CSS(selector), keys))
}

func (b *browser) chooses(selector, value string) {
	b.Helper()
	b.visible(selector)
	within(b, "choose "+value, chromedp.SetValue(chromedp.CSS(selector), value))
}

func (b *browser) size(width int) {
	b.Helper()
	within(b, "size", chromedp.EmulateViewport(int64(width), 800))
}

func (b *browser) says(script string) string {
	b.Helper()
	return within(b, script, chromedp.Evaluate[string](script))
}

func (b *browser) complaints() (list []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list, b.faults = b.faults, nil
	return list
}

// blameless looks at the page as it stands: nothing is missing in its language,
// nothing is wider than the screen, every control has a name.
func (b *browser) blameless(name string) {
	b.Helper()
	if faults := b.complaints(); len(faults) > 0 {
		b.Errorf("%s: the browser complains: %q", name, faults)
	}
	text := b.says(`document.body.innerText`)
	if key := regexp.MustCompile(`\b(page|kind|label|link|act|proof|problem|reason|state|status|cause)\.[a-z_]+`).FindString(text); key != "" {
		b.Errorf("%s: the text %s is missing", name, key)
	}
	for _, odd := range []string{"undefined", "[object", "NaN", "null"} {
		if strings.Contains(text, odd) {
			b.Errorf("%s: the page shows %q:\n%s", name, odd, text)
		}
	}
	wide := b.says(`document.documentElement.scrollWidth > innerWidth ? [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 120)).join('\n') || 'something' : ''`)
	if wide != "" {
		b.Errorf("%s: wider than the screen: %s", name, wide)
	}
	nameless := b.says(`[...document.querySelectorAll('button, input, select, img')].filter(e => !(e.innerText || e.alt || e.getAttribute('aria-label') || e.labels?.length && e.labels[0].innerText)).map(e => e.outerHTML).join('\n')`)
	if nameless != "" {
		b.Errorf("%s: controls without a name: %s", name, nameless)
	}
	b.shot(name)
}

func (b *browser) shot(name string) {
	b.Helper()
	if shots == "" {
		return
	}
	png := within(b, "screenshot", chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(shots, name+".png"), png, 0o644); err != nil {
		b.Error(err)
	}
}

// person makes a PIN, as the installer does.
func (s *shop) person(name, role string) (pin string) {
	s.Helper()
	return strings.TrimSpace(command(s, agentBinary, "pin", "add", name, "--role", role, "--config", s.file).ok(s).out)
}

// enter opens the shop's page in a language, and signs in.
func (b *browser) enter(s *shop, lang, name, pin string) {
	b.Helper()
	b.open("http://" + s.listen + "/")
	b.speak(lang)
	b.chooses(`select[name=person]`, name)
	b.types(`input[name=pin]`, pin+"\r")
	b.visible(`#now p`)
	b.settled(lang)
}

// speak takes another language in one tap.
func (b *browser) speak(lang string) {
	b.Helper()
	b.click(`#languages button[lang=` + lang + `]`)
	b.settled(lang)
}

// settled waits until all is shown in the language.
func (b *browser) settled(lang string) {
	b.Helper()
	b.holds(fmt.Sprintf("document.documentElement.lang == %q && !document.querySelector('#main[aria-busy=true]')", lang))
}

// everywhere shows the page in each language and width.
func (b *browser) everywhere(name string, look func(lang string)) {
	b.Helper()
	for _, width := range []int{360, 1280} {
		b.size(width)
		for _, lang := range texts.Languages {
			b.says(`document.querySelector('dialog[open]')?.close(); ''`)
			b.speak(lang)
			look(lang)
			b.blameless(fmt.Sprintf("%s-%s-%d", name, lang, width))
		}
	}
}

// The staff page in a real browser, over a real agent: what each situation looks
// like in three languages on a telephone and on a till's screen, and what each
// button does.
func TestStaffPage(t *testing.T) {
	if shots != "" {
		if err := os.MkdirAll(shots, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b := newBrowser(t)
	t.Run("a day at the till", func(t *testing.T) { staffDay(t, b) })
	t.Run("a receipt whose outcome is unknown", func(t *testing.T) { staffQuestion(t, b) })
	t.Run("paper out", func(t *testing.T) { staffPaper(t, b) })
	t.Run("a shift of 23 hours", func(t *testing.T) { staffOldShift(t, b) })
	t.Run("the register is off", func(t *testing.T) { staffOff(t, b) })
}

// of makes the browser report to a subtest.
func (b *browser) of(t *testing.T) *browser {
	b.TB = t
	return b
}

func staffDay(t *testing.T, b *browser) {
	b.of(t)
	s, sim := open(t)
	b.size(1280)
	b.open("http://" + s.listen + "/")
	b.sees("ekassa-agent pin add") // nobody has one yet, and the page says how
	b.blameless("nobody")
	manager, cashier := s.person("Leyla Ə.", "manager"), s.person("Rauf", "cashier")

	// A wrong PIN, and then the right one.
	within(b, "reload", chromedp.Reload())
	b.visible(`select[name=person]`)
	b.speak("en")
	b.chooses(`select[name=person]`, "Leyla Ə.")
	wrong := "000000"
	if manager == wrong {
		wrong = "000001"
	}
	b.types(`input[name=pin]`, wrong+"\r")
	b.sees(texts.Say("en", "problem.pin.detail", nil))
	b.enter(s, "en", "Leyla Ə.", manager)

	// The shift is opened by hand, money is put in, a till sells; the page hears of it.
	b.click(`#tab-shift`)
	b.click(`[data-do=open]`)
	b.holds(`document.querySelector('[data-do=x]:not(:disabled)')`)
	if !sim.State().Shift.Open {
		t.Error("the page says that the shift is open, and the register that it is not")
	}
	b.types(`input[name=sum]`, "50,5")
	b.click(`[data-do=deposit]`)
	b.sees("50.50 AZN")
	b.click(`#tab-receipts`)
	s.till().Post("/v1/receipts", sale("s-1", object{"note": "Masa 7 ğəı"}), wait).Want(http.StatusCreated)
	b.visible(`[data-id=s-1] .dot.fiscal`)
	b.everywhere("receipts", func(lang string) { b.sees(texts.State(lang, receipt.Fiscal)) })

	// Search, by table, sum and what is not there.
	for find, there := range map[string]bool{"masa 7": true, "12,00": true, "99": false} {
		b.says(`document.querySelector('input[type=search]').value = ''`)
		b.types(`input[type=search]`, find)
		b.holds(fmt.Sprintf(`!!document.querySelector('[data-id=s-1]') == %t`, there))
	}
	b.says(`find = ''; work(); ''`)
	b.visible(`[data-id=s-1]`)

	// Its details with QR, and a copy.
	b.everywhere("details", func(string) {
		b.click(`[data-id=s-1]`)
		b.holds(`document.querySelector('dialog[open] img.qr')?.naturalWidth > 0`)
	})
	b.click(`[data-do=reprint]`)
	eventually(t, "a copy is printed", func() bool {
		return sim.State().Requests["/check_copy"] == 1
	})
	b.click(`dialog .quiet`)

	// X, registers with Check, and who did what.
	b.click(`#tab-shift`)
	b.click(`[data-do=x]`)
	b.visible(`dialog .paper`)
	b.blameless("x-report")
	b.click(`dialog .quiet`)
	b.everywhere("shift", func(string) {
		b.click(`#tab-shift`)
		b.visible(`#reports button`)
	})
	b.everywhere("register", func(string) {
		b.click(`#tab-register`)
		b.click(`[data-do=check]`)
		b.sees(serial)
	})
	// Cash out is a manager's, and close with the Z report, which agrees.
	b.click(`#tab-shift`)
	b.visible(`input[name=sum]`)
	b.types(`input[name=sum]`, "10")
	b.click(`[data-do=withdraw-cash]`)
	b.sees("10.00 AZN")
	b.click(`[data-do=close]`)
	b.click(`[data-do=close-sure]`)
	b.visible(`dialog .state.good`)
	b.blameless("z-report")
	if z := sim.Shifts(); len(z) != 1 {
		t.Errorf("%d shifts were closed", len(z))
	}
	b.click(`dialog .quiet`)
	b.everywhere("acts", func(lang string) {
		b.click(`#tab-acts`)
		b.sees(texts.Say(lang, "act.shift_close", nil))
	})

	// Out, and in as a cashier, who has no buttons for what takes a manager.
	b.click(`#out`)
	b.enter(s, "az", "Rauf", cashier)
	b.click(`#tab-shift`)
	b.visible(`[data-do=deposit]`)
	b.gone(`[data-do=withdraw-cash]`)
	b.gone(`#tab-acts`)
	// Without the PIN the session ends.
	command(t, agentBinary, "pin", "remove", "Rauf", "--config", s.file).ok(t)
	b.visible(`input[name=pin]`)
	b.blameless("signed-out")
}

func staffQuestion(t *testing.T, b *browser) {
	b.of(t)
	sim := register(t, simulator.Config{Quirks: []string{"status-by-id-only"}})
	s := newShop(t, at(sim.Addr()))
	s.serve(hurt)
	pin, cashier := s.person("Leyla", "manager"), s.person("Rauf", "cashier")
	for _, id := range []string{"made", "not"} {
		sim.Arm(simulator.Fault{Name: simulator.DropAfter, Route: "/sale", Times: 1})
		s.till().Post("/v1/receipts", sale(id)).Want(http.StatusAccepted)
		s.reaches(id, receipt.Held)
	}
	b.size(360)
	b.enter(s, "en", "Rauf", cashier)
	b.click(`[data-id=made]`)
	b.sees(texts.Say("en", "problem.role.detail", nil)) // it is not a cashier's to say
	b.click(`dialog .quiet`)
	b.click(`#out`)
	b.enter(s, "en", "Leyla", pin)
	b.everywhere("held-list", func(lang string) { b.sees(texts.Reason(lang, receipt.Reason{Code: "outcome_unknown"})) })
	b.everywhere("held", func(lang string) {
		b.click(`[data-id=made]`)
		b.sees(texts.Say(lang, "page.question", nil))
	})
	b.click(`[data-do=was_made]`)
	b.types(`input[name=fiscal]`, sim.Ledger()[0].FiscalID)
	b.types(`input[name=why]`, "kağız əlimdədir\r")
	b.visible(`dialog .state.good`)
	b.click(`dialog .quiet`)
	b.click(`[data-id=not]`)
	b.click(`[data-do=drop]`)
	b.types(`input[name=why]`, "rung up by hand\r")
	b.sees(texts.State("en", receipt.Withdrawn))
	if r := s.get("made"); r.State != receipt.Fiscal || r.Document.FiscalID != sim.Ledger()[0].FiscalID {
		t.Errorf("decided as made: %+v", r)
	}
	if r := s.get("not"); r.State != receipt.Withdrawn {
		t.Errorf("decided as not needed: %+v", r)
	}
	if n := len(sim.Ledger()); n != 2 {
		t.Errorf("%d documents, want the two that were made before", n)
	}
	b.blameless("decided")
}

func staffPaper(t *testing.T, b *browser) {
	b.of(t)
	s, sim := open(t)
	pin := s.person("Leyla", "manager")
	s.till().Post("/v1/receipts", sale("printed"), wait).Want(http.StatusCreated)
	sim.Arm(simulator.Fault{Name: simulator.PaperOut})
	s.till().Post("/v1/receipts", sale("unprinted")).Want(http.StatusAccepted)
	s.becomes("unprinted", "fiscal without paper", func(r stored) bool { return r.State == receipt.Fiscal && r.Reason.Code == "not_printed" })
	b.size(1280)
	b.enter(s, "en", "Leyla", pin)
	b.everywhere("paper-out", func(lang string) { b.sees(texts.Reason(lang, receipt.Reason{Code: "not_printed"})) })
	b.visible(`[data-id=unprinted] .dot.unprinted`)
	sim.LoadPaper()
	s.becomes("unprinted", "printed", func(r stored) bool { return r.Document.Printed })
	b.gone(`.dot.unprinted`)
	if n := len(sim.Ledger()); n != 2 {
		t.Errorf("%d documents", n)
	}
}

func staffOldShift(t *testing.T, b *browser) {
	b.of(t)
	sim := register(t, simulator.Config{})
	sim.SetClock(-23*time.Hour - 30*time.Minute)
	if err := sim.OpenShift("Aysel M."); err != nil {
		t.Fatal(err)
	}
	sim.SetClock(0)
	s := newShop(t, at(sim.Addr()))
	s.serve(fast)
	pin := s.person("Leyla", "manager")
	b.size(360)
	b.enter(s, "en", "Leyla", pin)
	b.everywhere("shift-23h", func(lang string) { b.sees(texts.Say(lang, "status.shift_old", texts.Args{"hours": "23"})) })
	b.click(`#tab-shift`)
	b.click(`[data-do=close]`)
	b.click(`[data-do=close-sure]`)
	b.visible(`dialog .paper`)
	b.click(`dialog .quiet`)
	b.click(`[data-do=open]`)
	b.visible(`#now.good`)
}

func staffOff(t *testing.T, b *browser) {
	b.of(t)
	state := filepath.Join(t.TempDir(), "kassa.jsonl")
	c := simulator.Config{Listen: newHost() + ":8008", Serial: serial, MerchantID: merchant, State: state}
	sim, err := simulator.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	s := newShop(t, at(c.Listen))
	stop := s.serve(fast)
	pin := s.person("Leyla", "manager")
	s.till().Post("/v1/receipts", sale("before"), wait).Want(http.StatusCreated)
	if err := sim.Close(); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"w-1", "w-2"} {
		s.till().Post("/v1/receipts", sale(id)).Want(http.StatusAccepted)
	}
	s.waitsFor("w-2", "register_unreachable")
	b.size(360)
	b.enter(s, "en", "Leyla", pin)
	b.everywhere("register-off", func(lang string) { b.sees(texts.State(lang, receipt.Waiting)) })
	b.visible(`#now.person`)
	sim = register(t, c)
	b.visible(`[data-id=w-2] .dot.fiscal`)
	b.visible(`#now.good`)
	if n := len(sim.Ledger()); n != 3 {
		t.Errorf("%d documents, want 3", n)
	}
	stop() // the agent itself is away, and the page says so until it is back
	b.visible(`#away`)
	b.blameless("agent-away")
	s.serve(fast)
	b.visible(`input[name=pin]`)
	b.gone(`#away`)
}
