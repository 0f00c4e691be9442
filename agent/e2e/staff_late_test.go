package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"ekassa/agent/register/simulator"
	"ekassa/agent/texts"
	"ekassa/cloud/browsertest"
)

// What people do and what the agent answers do not wait for each other: nobody's
// words are lost, nothing is done twice, and nothing is shown that is not so.
func TestStaffPage_AnswersThatComeLateOrNever(t *testing.T) {
	b := &browser{browsertest.New(t)}
	t.Run("cash in whose answer is lost", func(t *testing.T) { lateCash(t, b) })
	t.Run("a copy that takes its time", func(t *testing.T) { lateCopy(t, b) })
	t.Run("a shift that closes slowly", func(t *testing.T) { lateClose(t, b) })
	t.Run("a report without figures", func(t *testing.T) { lateReport(t, b) })
	t.Run("an agent that is gone", func(t *testing.T) { lateAgent(t, b) })
}

// atWork opens the page for a manager, at a till that has sold s-1.
func (b *browser) atWork(t *testing.T) (*shop, *simulator.Simulator) {
	t.Helper()
	b.Of(t)
	s, sim := open(t)
	pin := s.person("Leyla", "manager")
	s.till().Post("/v1/receipts", sale("s-1"), wait).Want(http.StatusCreated)
	b.Size(1280)
	b.enter(s, "en", "Leyla", pin)
	return s, sim
}

// loses lets what the page sends next be done, and its answer be lost.
func (b *browser) loses() { b.next(`await whole(path, init); throw new TypeError('the line is dead')`) }

// fails lets what the page sends next not even reach the agent.
func (b *browser) fails() { b.next(`throw new TypeError('the line is dead')`) }

// holds lets what the page sends next be done, and keeps its answer until it is let go.
func (b *browser) holds() {
	b.next(`const answer = await whole(path, init); await new Promise((on) => { letGo = on; }); return answer`)
}

func (b *browser) next(post string) {
	b.Helper()
	b.Says(`letGo = null;
		whole = window.whole || fetch;
		fetch = async (path, init) => {
			if (init?.method !== 'POST') return whole(path, init);
			fetch = whole;
			` + post + `;
		};
		''`)
}

// letsGo lets the page have the answer, once there is one.
func (b *browser) letsGo() {
	b.Helper()
	b.Holds(`letGo`)
	b.Says(`letGo(); ''`)
}

func lateCash(t *testing.T, b *browser) {
	s, _ := b.atWork(t)
	stored := func(want int) {
		t.Helper()
		var list struct{ Receipts []stored }
		s.till().Get("/v1/cash").Want(http.StatusOK).JSON(&list)
		if len(list.Receipts) != want {
			t.Errorf("%d deposits, want %d: %+v", len(list.Receipts), want, list.Receipts)
		}
	}
	b.Click(`#tab-shift`)
	b.Types(`input[name=sum]`, "50")
	b.fails()
	b.Click(`[data-do=deposit]`)
	b.Sees(texts.Say("en", "page.unsure", nil))
	// A till sells meanwhile, and another view is looked at: what was typed stays.
	s.till().Post("/v1/receipts", sale("s-2"), wait).Want(http.StatusCreated)
	b.Sees("24.00 AZN") // in the drawer
	b.Click(`#tab-receipts`)
	b.Visible(`[data-id=s-2]`)
	b.Click(`#tab-shift`)
	b.Sees(texts.Say("en", "page.unsure", nil))
	b.Holds(`document.querySelector('input[name=sum]').value === '50'`)
	b.Blameless("late-cash")
	stored(0)
	// Tapped again it is stored, and that answer is lost: once it is seen in the list, the
	// form is empty, and the same sum is another deposit.
	b.loses()
	b.Click(`[data-do=deposit]`)
	b.Sees("50.00 AZN")
	b.Holds(`document.querySelector('input[name=sum]').value === ''`)
	b.Holds(`!document.body.innerText.includes(t('page.unsure'))`)
	stored(1)
	b.Types(`input[name=sum]`, "50")
	b.holds()
	b.Click(`[data-do=deposit]`)
	b.Holds(`letGo`)
	b.Types(`input[name=sum]`, "5") // the next one is typed already
	b.letsGo()
	b.Holds(`!acting`)
	b.Holds(`document.querySelector('input[name=sum]').value === '505'`)
	stored(2)
}

func lateCopy(t *testing.T, b *browser) {
	s, sim := b.atWork(t)
	s.till().Post("/v1/receipts", sale("s-2", object{"fiscal": false})).Want(http.StatusAccepted)
	b.Visible(`[data-id=s-2]`)
	b.Click(`[data-id=s-1]`)
	b.holds()
	b.Click(`[data-do=reprint]`)
	b.Holds(`letGo`)
	if n := sim.State().Requests["/check_copy"]; n != 1 {
		t.Errorf("%d copies", n)
	}
	b.Click(`dialog .quiet`)
	b.Click(`[data-id=s-2]`)
	b.Visible(`dialog [data-do=fiscalise]`)
	b.Says(`over = false; const anew = refresh; refresh = async () => { await anew(); over = true; }; ''`)
	b.letsGo()
	b.Holds(`over`)
	b.Visible(`dialog [data-do=fiscalise]`) // still this one's
	b.Click(`[data-do=fiscalise]`)
	b.Visible(`dialog .state.good`) // what lies open shows what became of it

	// An answer that is lost is called so, and it is looked at before anything is done again.
	b.loses()
	b.Click(`[data-do=reprint]`)
	b.Sees(texts.Say("en", "page.unsure", nil))
	b.Gone(`[data-do=reprint]`)
	b.Click(`dialog [data-do=look]`)
	b.Visible(`[data-do=reprint]`)
}

func lateClose(t *testing.T, b *browser) {
	s, sim := b.atWork(t)
	b.Click(`#tab-shift`)
	b.Click(`[data-do=close]`)
	b.holds()
	b.Click(`[data-do=close-sure]`)
	b.Sees(texts.Say("en", "page.wait", nil))
	b.Holds(`letGo`)
	s.till().Post("/v1/receipts", sale("s-2"), wait).Want(http.StatusCreated) // in a shift of its own
	// Whichever view is shown meanwhile, nothing is done at the desk beside it.
	b.Click(`#tab-receipts`)
	b.Visible(`[data-id=s-2]`)
	b.Click(`#tab-shift`)
	b.Visible(`[data-do=close]:disabled`)
	b.letsGo()
	b.Visible(`dialog .paper`)
	b.Click(`dialog .quiet`)
	if z := sim.Shifts(); len(z) != 1 {
		t.Errorf("%d shifts were closed", len(z))
	}

	// A refusal reaches whoever is at something else by now, and stays until it is put away.
	sim.Arm(simulator.Fault{Name: simulator.Refuse, Route: "/x_report", Code: 3})
	b.holds()
	b.Click(`[data-do=x]`)
	b.Click(`#tab-receipts`)
	b.Click(`[data-id=s-1]`)
	b.Visible(`dialog [data-do=reprint]`)
	b.letsGo()
	b.Visible(`dialog .told`)
	b.Blameless("late-x")
	b.Click(`dialog .quiet`)
	sim.Disarm()

	// What comes once somebody has signed out is not for whoever stands there then.
	b.Click(`#tab-shift`)
	b.holds()
	b.Click(`[data-do=x]`)
	b.Holds(`letGo`)
	b.Click(`#out`)
	b.Visible(`input[name=pin]`)
	b.letsGo()
	b.Holds(`!acting`)
	b.Gone(`dialog[open]`)
}

func lateReport(t *testing.T, b *browser) {
	_, sim := b.atWork(t)
	sim.Arm(simulator.Fault{Name: simulator.Refuse, Route: "/x_report", Code: 3})
	if _, err := sim.CloseShift(0); err != nil {
		t.Fatal(err)
	}
	b.Click(`#tab-shift`)
	b.Visible(`#reports .dot.waiting`)
	b.everywhere("no-figures", func(lang string) {
		b.Click(`#tab-shift`)
		b.Click(`#reports button`)
		b.Holds(`document.querySelector('dialog[open] .card.wait')`)
		b.Sees(texts.Say(lang, "page.no_figures", nil))
		if text := b.Says(`document.querySelector('#reports').innerText`); strings.Contains(text, "0.00") {
			t.Errorf("figures that nobody knows are shown: %s", text)
		}
	})
}

func lateAgent(t *testing.T, b *browser) {
	b.Of(t)
	sim := register(t, simulator.Config{})
	s := newShop(t, at(sim.Addr()))
	stop := s.serve(fast)
	pin := s.person("Leyla", "manager")
	b.Size(360)
	b.enter(s, "en", "Leyla", pin)
	b.Visible(`#now.good`)

	// It dies: nothing goes on saying that the register is ready.
	stop()
	b.Visible(`#away`)
	b.Gone(`#now`)
	b.Holds(`document.title.startsWith('●')`)
	b.Click(`#tab-register`)
	b.Holds(`view.failed`)
	// Who signs out now is out, and stays so when it is back.
	stop = s.serve(fast)
	b.Visible(`input[name=pin]`)
	b.Gone(`#away`)

	// What is read while the line is away for a moment is read again by itself.
	b.enter(s, "en", "Leyla", pin)
	b.Says(`const dead = fetch; fetch = () => Promise.reject(new TypeError('no line')); ''`)
	b.Click(`#tab-register`)
	b.Holds(`view.failed`)
	b.Gone(`#now`)
	b.Says(`fetch = dead; ''`)
	b.Sees(serial)
	b.Visible(`#now.good`)
	// Who signs out without a line is out at once, and stays so.
	b.Says(`fetch = () => Promise.reject(new TypeError('no line')); ''`)
	b.Click(`#out`)
	b.Gone(`#view`)
	b.Sees(texts.Say("en", "page.wait", nil))
	b.Visible(`#away`)
	b.Says(`fetch = dead; ''`)
	b.Visible(`input[name=pin]`)
	browsertest.Within(b.Browser, "reload", chromedp.Reload())
	b.Visible(`input[name=pin]`)
	b.enter(s, "en", "Leyla", pin)
	b.Click(`#tab-register`)
	// And the register's own card says when it is off.
	if err := sim.Close(); err != nil {
		t.Fatal(err)
	}
	b.Visible(`#view .card.person`)
	stop()
}
