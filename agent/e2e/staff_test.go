package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
	"ekassa/agent/texts"
	"ekassa/cloud/browsertest"
)

// browser knows its way about the staff page.
type browser struct{ *browsertest.Browser }

// person makes a PIN, as the installer does.
func (s *shop) person(name, role string) (pin string) {
	s.Helper()
	return strings.TrimSpace(command(s, agentBinary, "pin", "add", name, "--role", role, "--config", s.file).ok(s).out)
}

// enter opens the shop's page in a language, and signs in.
func (b *browser) enter(s *shop, lang, name, pin string) {
	b.Helper()
	b.Open("http://" + s.listen + "/")
	b.speak(lang)
	b.Chooses(`select[name=person]`, name)
	b.Types(`input[name=pin]`, pin+"\r")
	b.Visible(`#now p`)
	b.settled(lang)
}

// speak takes another language in one tap.
func (b *browser) speak(lang string) {
	b.Helper()
	b.Click(`#languages button[lang=` + lang + `]`)
	b.settled(lang)
}

// settled waits until all is shown in the language.
func (b *browser) settled(lang string) {
	b.Helper()
	b.Holds(fmt.Sprintf("document.documentElement.lang == %q && !document.querySelector('#main[aria-busy=true]')", lang))
}

// everywhere shows the page in each language and width.
func (b *browser) everywhere(name string, look func(lang string)) {
	b.Helper()
	for _, width := range []int{360, 1280} {
		b.Size(width)
		for _, lang := range texts.Languages {
			// The page hears of it with the next picture, and takes it for a person's wish.
			b.Says(`window.testShut = true;
				{
					const open = document.querySelector('dialog[open]');
					if (open) {
						testShut = false;
						open.addEventListener('close', () => { testShut = true; }, { once: true });
						open.close();
					}
				}
				''`)
			b.Holds(`testShut`)
			b.speak(lang)
			look(lang)
			b.Blameless(fmt.Sprintf("%s-%s-%d", name, lang, width))
		}
	}
}

// The staff page in a real browser, over a real agent: what each situation looks
// like in three languages on a telephone and on a till's screen, and what each
// button does.
func TestStaffPage(t *testing.T) {
	b := &browser{browsertest.New(t)}
	t.Run("a day at the till", func(t *testing.T) { staffDay(t, b) })
	t.Run("a receipt whose outcome is unknown", func(t *testing.T) { staffQuestion(t, b) })
	t.Run("paper out", func(t *testing.T) { staffPaper(t, b) })
	t.Run("a shift of 23 hours", func(t *testing.T) { staffOldShift(t, b) })
	t.Run("a register whose clock and report are off", func(t *testing.T) { staffDiffers(t, b) })
	t.Run("the register is off", func(t *testing.T) { staffOff(t, b) })
}

func staffDay(t *testing.T, b *browser) {
	b.Of(t)
	s, sim := open(t)
	b.Size(1280)
	b.Open("http://" + s.listen + "/")
	b.Sees("ekassa-agent pin add") // nobody has one yet, and the page says how
	b.Blameless("nobody")
	manager, cashier := s.person("Leyla Ə.", "manager"), s.person("Rauf", "cashier")

	// A wrong PIN, and then the right one.
	browsertest.Within(b.Browser, "reload", chromedp.Reload())
	b.Visible(`select[name=person]`)
	b.speak("en")
	b.Chooses(`select[name=person]`, "Leyla Ə.")
	wrong := "000000"
	if manager == wrong {
		wrong = "000001"
	}
	b.Types(`input[name=pin]`, wrong+"\r")
	b.Sees(texts.Say("en", "problem.pin.detail", nil))
	b.enter(s, "en", "Leyla Ə.", manager)

	b.everywhere("shift-closed", func(lang string) {
		b.Click(`#tab-shift`)
		b.Sees(texts.Say(lang, "page.shift_closed", nil))
	})
	b.Size(1280)
	b.speak("en")

	// The shift is opened by hand, money is put in, a till sells; the page hears of it.
	b.Click(`#tab-shift`)
	b.Click(`[data-do=open]`)
	b.Holds(`document.querySelector('[data-do=x]:not(:disabled)')`)
	if !sim.State().Shift.Open {
		t.Error("the page says that the shift is open, and the register that it is not")
	}
	b.Types(`input[name=sum]`, "50,5")
	b.Click(`[data-do=deposit]`)
	b.Sees("50.50 AZN")
	b.Click(`#tab-receipts`)
	s.till().Post("/v1/receipts", sale("s-1", object{"note": "Masa 7 ğəı"}), wait).Want(http.StatusCreated)
	b.Visible(`[data-id=s-1] .dot.fiscal`)
	b.everywhere("receipts", func(lang string) { b.Sees(texts.State(lang, receipt.Fiscal)) })

	// Search, by table, sum and what is not there.
	for find, there := range map[string]bool{"masa 7": true, "12,00": true, "99": false} {
		b.Says(`document.querySelector('input[type=search]').value = ''`)
		b.Types(`input[type=search]`, find)
		b.Holds(fmt.Sprintf(`!!document.querySelector('[data-id=s-1]') == %t`, there))
	}
	b.Says(`find = ''; work(); ''`)
	b.Visible(`[data-id=s-1]`)

	// Its details with QR, and a copy.
	b.everywhere("details", func(string) {
		b.Click(`[data-id=s-1]`)
		b.Holds(`document.querySelector('dialog[open] img.qr')?.naturalWidth > 0`)
	})
	b.Click(`[data-do=reprint]`)
	eventually(t, "a copy is printed", func() bool {
		return sim.State().Requests["/check_copy"] == 1
	})
	b.Holds(`!subject.busy`) // its answer redraws the sheet
	b.Click(`dialog .quiet`)

	// X, registers with Check, and who did what.
	b.Click(`#tab-shift`)
	b.Click(`[data-do=x]`)
	b.Visible(`dialog .paper`)
	b.Blameless("x-report")
	b.Click(`dialog .quiet`)
	b.everywhere("shift", func(string) {
		b.Click(`#tab-shift`)
		b.Visible(`#reports button`)
	})
	b.everywhere("register", func(string) {
		b.Click(`#tab-register`)
		b.Click(`[data-do=check]`)
		b.Sees(serial)
	})
	// Cash out is a manager's, and close with the Z report, which agrees.
	b.Click(`#tab-shift`)
	b.Visible(`input[name=sum]`)
	b.Types(`input[name=sum]`, "10")
	b.Click(`[data-do=withdraw-cash]`)
	b.Sees("10.00 AZN")
	// More than there is is refused, says so, and is taken back.
	b.Types(`input[name=sum]`, "900")
	b.Click(`[data-do=withdraw-cash]`)
	b.Visible(`#cash .dot.refused`)
	b.Holds(`document.querySelector('#cash button .refused').parentElement.click() || true`)
	b.Click(`[data-do=withdraw]`)
	b.Types(`input[name=why]`, "səhv\r")
	b.Sees(texts.State("en", receipt.Withdrawn))
	b.Blameless("cash-withdrawn")
	b.Click(`dialog .quiet`)
	b.Gone(`#cash .dot.refused`)
	b.everywhere("close-shift", func(string) {
		b.Click(`#tab-shift`)
		b.Click(`[data-do=close]`)
		b.Visible(`[data-do=close-sure]`)
	})
	b.Click(`[data-do=close-sure]`)
	b.Visible(`dialog .state.good`)
	b.everywhere("z-report", func(lang string) {
		b.Click(`#tab-shift`)
		b.Click(`#reports button`)
		b.Sees(texts.Say(lang, "page.agrees", nil))
	})
	if z := sim.Shifts(); len(z) != 1 {
		t.Errorf("%d shifts were closed", len(z))
	}
	b.Click(`dialog .quiet`)
	b.everywhere("acts", func(lang string) {
		b.Click(`#tab-acts`)
		b.Sees(texts.Say(lang, "act.shift_close", nil))
	})

	// Out, and in as a cashier, who has no buttons for what takes a manager.
	b.Click(`#out`)
	b.enter(s, "az", "Rauf", cashier)
	b.Click(`#tab-shift`)
	b.Visible(`[data-do=deposit]`)
	b.Gone(`[data-do=withdraw-cash]`)
	b.Gone(`#tab-acts`)
	// Rauf asks more often than the agent allows anybody. What the page then reads is
	// refused, read again, and there all the same.
	calm := s.asks("Rauf", cashier)
	b.Says(`const ask = fetch;
		tooOften = 0;
		fetch = async (...what) => {
			const answer = await ask(...what);
			if (answer.status === 429) tooOften++;
			return answer;
		};
		''`)
	b.Holds(`tooOften > 0`)
	b.Says(`tooOften = 0; ''`)
	b.Click(`#tab-register`)
	b.Holds(`tooOften > 0`)
	calm()
	b.Sees(serial)
	// Without the PIN the session ends.
	command(t, agentBinary, "pin", "remove", "Rauf", "--config", s.file).ok(t)
	b.Visible(`input[name=pin]`)
	b.Blameless("signed-out")
}

// asks has a person's programs ask without a pause, until calm is called.
func (s *shop) asks(name, pin string) (calm func()) {
	s.Helper()
	answer := s.till().Post("/v1/session", fmt.Sprintf(`{"name":%q,"pin":%q,"terminal":%q}`, name, pin, terminal)).Want(http.StatusOK)
	cookie, _, _ := strings.Cut(answer.Header.Get("Set-Cookie"), ";")
	ctx, cancel := context.WithCancel(s.Context())
	const programs = 8
	link := &http.Transport{MaxIdleConnsPerHost: programs} // none dials anew for each
	var all sync.WaitGroup
	for range programs {
		all.Go(func() {
			for ctx.Err() == nil {
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.listen+"/v1/receipts/none", nil)
				if err != nil {
					s.Error(err)
					return
				}
				r.Header.Set("Cookie", cookie)
				if a, err := link.RoundTrip(r); err == nil {
					_, _ = io.Copy(io.Discard, a.Body) // only that it was asked counts
					a.Body.Close()
				}
			}
		})
	}
	calm = func() { cancel(); all.Wait(); link.CloseIdleConnections() }
	s.Cleanup(calm)
	return calm
}

func staffQuestion(t *testing.T, b *browser) {
	b.Of(t)
	sim := register(t, simulator.Config{Quirks: []string{"status-by-id-only"}})
	s := newShop(t, at(sim.Addr()))
	s.serve(hurt)
	pin, cashier := s.person("Leyla", "manager"), s.person("Rauf", "cashier")
	for _, id := range []string{"made", "not"} {
		sim.Arm(simulator.Fault{Name: simulator.DropAfter, Route: "/sale", Times: 1})
		s.till().Post("/v1/receipts", sale(id)).Want(http.StatusAccepted)
		s.reaches(id, receipt.Held)
	}
	b.Size(360)
	b.enter(s, "en", "Rauf", cashier)
	b.Click(`[data-id=made]`)
	b.Sees(texts.Say("en", "problem.role.detail", nil)) // it is not a cashier's to say
	b.Click(`dialog .quiet`)
	b.Click(`#out`)
	b.enter(s, "en", "Leyla", pin)
	b.everywhere("held-list", func(lang string) { b.Sees(texts.Reason(lang, receipt.Reason{Code: "outcome_unknown"})) })
	b.everywhere("held", func(lang string) {
		b.Click(`[data-id=made]`)
		b.Sees(texts.Say(lang, "page.question", nil))
	})
	b.everywhere("held-answer", func(string) {
		b.Click(`[data-id=made]`)
		b.Click(`[data-do=was_made]`)
		b.Visible(`input[name=fiscal]`)
	})
	b.Types(`input[name=fiscal]`, sim.Ledger()[0].FiscalID)
	b.Types(`input[name=why]`, "kağız əlimdədir\r")
	b.Visible(`dialog .state.good`)
	b.Click(`dialog .quiet`)
	b.Click(`[data-id=not]`)
	b.Click(`[data-do=drop]`)
	b.Types(`input[name=why]`, "rung up by hand\r")
	b.Sees(texts.State("en", receipt.Withdrawn))
	if r := s.get("made"); r.State != receipt.Fiscal || r.Document.FiscalID != sim.Ledger()[0].FiscalID {
		t.Errorf("decided as made: %+v", r)
	}
	if r := s.get("not"); r.State != receipt.Withdrawn {
		t.Errorf("decided as not needed: %+v", r)
	}
	if n := len(sim.Ledger()); n != 2 {
		t.Errorf("%d documents, want the two that were made before", n)
	}
	b.Blameless("decided")
}

func staffPaper(t *testing.T, b *browser) {
	b.Of(t)
	s, sim := open(t)
	pin := s.person("Leyla", "manager")
	s.till().Post("/v1/receipts", sale("printed"), wait).Want(http.StatusCreated)
	sim.Arm(simulator.Fault{Name: simulator.PaperOut})
	s.till().Post("/v1/receipts", sale("unprinted")).Want(http.StatusAccepted)
	s.becomes("unprinted", "fiscal without paper", func(r stored) bool { return r.State == receipt.Fiscal && r.Reason.Code == "not_printed" })
	b.Size(1280)
	b.enter(s, "en", "Leyla", pin)
	b.everywhere("paper-out", func(lang string) { b.Sees(texts.Reason(lang, receipt.Reason{Code: "not_printed"})) })
	b.Visible(`[data-id=unprinted] .dot.unprinted`)
	b.everywhere("paper-out-receipt", func(string) {
		b.Click(`[data-id=unprinted]`)
		b.Visible(`dialog [data-do=reprint].main`)
	})
	b.Click(`dialog .quiet`)
	sim.LoadPaper()
	s.becomes("unprinted", "printed", func(r stored) bool { return r.Document.Printed })
	b.Gone(`.dot.unprinted`)
	if n := len(sim.Ledger()); n != 2 {
		t.Errorf("%d documents", n)
	}
}

func staffOldShift(t *testing.T, b *browser) {
	b.Of(t)
	sim := register(t, simulator.Config{})
	sim.SetClock(-23*time.Hour - 30*time.Minute)
	if err := sim.OpenShift("Aysel M."); err != nil {
		t.Fatal(err)
	}
	sim.SetClock(0)
	s := newShop(t, at(sim.Addr()))
	s.serve(fast)
	pin := s.person("Leyla", "manager")
	b.Size(360)
	b.enter(s, "en", "Leyla", pin)
	b.everywhere("shift-23h", func(lang string) { b.Sees(texts.Say(lang, "status.shift_old", texts.Args{"hours": "23"})) })
	b.Click(`#tab-shift`)
	b.Click(`[data-do=close]`)
	b.Click(`[data-do=close-sure]`)
	b.Visible(`dialog .paper`)
	b.Click(`dialog .quiet`)
	b.Click(`[data-do=open]`)
	b.Visible(`#now.good`)
}

// The register's clock is ten minutes ahead, and somebody rang up by hand.
func staffDiffers(t *testing.T, b *browser) {
	b.Of(t)
	s, sim := open(t)
	sim.SetClock(10 * time.Minute)
	pin := s.person("Leyla", "manager")
	s.till().Post("/v1/receipts", sale("s-1"), wait).Want(http.StatusCreated)
	if _, err := sim.RingUp(700, "Çay"); err != nil {
		t.Fatal(err)
	}
	b.Size(360)
	b.enter(s, "en", "Leyla", pin)
	b.Sees(texts.Say("en", "status.clock_off", texts.Args{"minutes": "10"}))
	b.everywhere("clock", func(lang string) {
		b.Click(`#tab-register`)
		b.Sees(texts.Say(lang, "page.clock_off", texts.Args{"minutes": "10"}))
	})
	b.Click(`#tab-shift`)
	b.Click(`[data-do=period]`)
	b.Visible(`dialog .paper`)
	b.Blameless("period")
	b.Click(`dialog .quiet`)
	b.Click(`[data-do=close]`)
	b.Click(`[data-do=close-sure]`)
	b.Visible(`dialog .state.person`)
	b.Click(`dialog .quiet`)
	b.everywhere("differs", func(lang string) {
		b.Click(`#tab-shift`)
		b.Click(`#reports .refused`)
		b.Sees(texts.Say(lang, "page.group_sales", nil) + ": " + texts.Say(lang, "page.figure_count", nil))
	})
}

func staffOff(t *testing.T, b *browser) {
	b.Of(t)
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
	b.Size(360)
	b.enter(s, "en", "Leyla", pin)
	b.everywhere("register-off", func(lang string) { b.Sees(texts.State(lang, receipt.Waiting)) })
	b.Visible(`#now.person`)
	b.everywhere("register-off-receipt", func(string) {
		b.Click(`[data-id=w-1]`)
		b.Visible(`dialog .state.wait`)
	})
	b.Click(`dialog .quiet`)
	sim = register(t, c)
	b.Visible(`[data-id=w-2] .dot.fiscal`)
	b.Visible(`#now.good`)
	if n := len(sim.Ledger()); n != 3 {
		t.Errorf("%d documents, want 3", n)
	}
	stop() // the agent itself is away, and the page says so until it is back
	b.Visible(`#away`)
	b.Blameless("agent-away")
	s.serve(fast)
	b.Visible(`input[name=pin]`)
	b.Gone(`#away`)
}
