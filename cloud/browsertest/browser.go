// Package browsertest lets tests look at pages as people do: in a real Chromium
// without a screen, from which nothing is hidden that a browser complains of.
package browsertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdlog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Patience is how long a test waits for what must happen.
const Patience = time.Minute

// Shots is the folder where screenshots are kept, which is made; empty: nowhere.
var Shots = os.Getenv("EKASSA_SHOTS")

// Browser is a headless Chromium that remembers what its pages complain of.
type Browser struct {
	testing.TB
	ctx context.Context

	mu     sync.Mutex
	faults []string
}

// New starts one that ends with the test.
func New(t testing.TB) *Browser {
	t.Helper()
	if Shots != "" {
		if err := os.MkdirAll(Shots, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WSURLReadTimeout(Patience), chromedp.Flag("disable-dev-shm-usage", true))
	allocated, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	b := &Browser{TB: t}
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

// Within runs a browser action, with the Patience of a test.
func Within[T any](b *Browser, what string, a chromedp.Action[T]) T {
	b.Helper()
	return run(b, what, a, false)
}

// looks is Within for what only looks: at a page that is being left, it looks again.
func looks[T any](b *Browser, what string, a chromedp.Action[T]) T {
	b.Helper()
	return run(b, what, a, true)
}

func run[T any](b *Browser, what string, a chromedp.Action[T], again bool) T {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, Patience)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	for again && err != nil && strings.Contains(err.Error(), "navigated or closed") && ctx.Err() == nil {
		v, err = chromedp.Run(ctx, a)
	}
	if err != nil {
		b.Fatalf("%s: %v; the page says:\n%s\nand complains of %q", what, err, b.text(), b.Complaints())
	}
	return v
}

// Holds waits until a condition in the page does.
func (b *Browser) Holds(script string) {
	b.Helper()
	end := time.Now().Add(Patience)
	for {
		is, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("!!("+script+")"))
		if err == nil && is {
			return
		}
		if time.Now().After(end) { // a page that is just being left gives an error
			b.Fatalf("does not come to hold: %s (%v); the page says:\n%s\nand complains of %q", script, err, b.text(), b.Complaints())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (b *Browser) text() string {
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ''`))
	if err != nil {
		return err.Error()
	}
	return text
}

// Leaves does what leads to another page, and waits until that one stands.
func (b *Browser) Leaves(do func()) {
	b.Helper()
	b.Says(`window.left = 'not yet'`)
	do()
	b.Holds(`!window.left && document.readyState == 'complete'`)
}

// Sees waits until the page shows the words.
func (b *Browser) Sees(words string) {
	b.Helper()
	b.Holds(fmt.Sprintf("document.body.innerText.includes(%q)", words))
}

// Open goes to an address.
func (b *Browser) Open(url string) {
	b.Helper()
	Within(b, "open "+url, chromedp.Navigate(url))
}

// Reload asks for the page once more; what was sent for it is sent again.
func (b *Browser) Reload() {
	b.Helper()
	Within(b, "load the page again", chromedp.Reload())
}

// Visible waits until it is seen, Gone until it is not.
func (b *Browser) Visible(selector string) {
	b.Helper()
	b.Holds(fmt.Sprintf("document.querySelector(%q)?.checkVisibility()", selector))
}

// Gone is the opposite of Visible.
func (b *Browser) Gone(selector string) {
	b.Helper()
	b.Holds(fmt.Sprintf("!document.querySelector(%q)?.checkVisibility()", selector))
}

// Click clicks on what the selector finds first, once it can be clicked.
func (b *Browser) Click(selector string) {
	b.Helper()
	b.Visible(selector)
	b.Holds(fmt.Sprintf("!document.querySelector(%q)?.disabled", selector))
	// A page that is drawn anew takes away what had just been found, or between press
	// and release: then nothing was clicked yet.
	watch := fmt.Sprintf(`window.testClicked = false; addEventListener('click', (e) => { window.testClicked ||= !!e.target.closest(%q); }, true); ''`, selector)
	for end := time.Now().Add(Patience); ; {
		ctx, cancel := context.WithTimeout(b.ctx, Patience)
		var missed bool
		_, err := chromedp.Run(ctx, chromedp.Evaluate[string](watch))
		if err != nil { // a page is just being left
			missed = true
		} else if _, err = chromedp.Run(ctx, chromedp.Click(chromedp.CSS(selector))); err != nil {
			missed = strings.Contains(err.Error(), "Could not find node")
		} else { // a page that is being left, and the next one, know nothing of it
			unseen, failed := chromedp.Run(ctx, chromedp.Evaluate[bool]("window.testClicked === false"))
			missed = failed == nil && unseen
		}
		cancel()
		if missed && time.Now().Before(end) {
			b.Logf("click %s again: the page was drawn anew", selector)
			continue
		}
		if err == nil && missed {
			err = errors.New("something else is clicked there")
		}
		if err != nil {
			b.Fatalf("click %s: %v; the page says:\n%s\nand complains of %q", selector, err, b.text(), b.Complaints())
		}
		return
	}
}

// Types presses keys in a field.
func (b *Browser) Types(selector, keys string) {
	b.Helper()
	b.Visible(selector)
	Within(b, "type into "+selector, chromedp.SendKeys(chromedp.CSS(selector), keys))
}

// Chooses sets a field's value.
func (b *Browser) Chooses(selector, value string) {
	b.Helper()
	b.Visible(selector)
	Within(b, "choose "+value, chromedp.SetValue(chromedp.CSS(selector), value))
}

// Size makes the screen so wide.
func (b *Browser) Size(width int) {
	b.Helper()
	Within(b, "size", chromedp.EmulateViewport(int64(width), 800))
}

// Dark makes the page look as on a screen that is set dark, or bright again.
func (b *Browser) Dark(is bool) {
	b.Helper()
	scheme := "light"
	if is {
		scheme = "dark"
	}
	Within(b, "make the page "+scheme, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// Says gives the text that a script gives.
func (b *Browser) Says(script string) string {
	b.Helper()
	return Within(b, script, chromedp.Evaluate[string](script))
}

// reads is Says for a script that changes nothing.
func (b *Browser) reads(script string) string {
	b.Helper()
	return looks(b, script, chromedp.Evaluate[string](script))
}

// Complaints gives what the browser has complained of since the last call.
func (b *Browser) Complaints() (list []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list, b.faults = b.faults, nil
	return list
}

// byChance are fiscal ids, long and short, and tokens of tills: they are random, and may
// hold any letters.
var byChance = regexp.MustCompile(`\b(?:ek_[0-9A-Za-z_-]{43}|[1-9A-HJ-NP-Za-km-z]{43,44}\b|[1-9A-HJ-NP-Za-km-z]{12}\b)`)

// Blameless looks at the page as it stands: nothing is missing in its language,
// and it Fits.
func (b *Browser) Blameless(name string) {
	b.Helper()
	text := b.reads(`document.body.innerText`)
	if key := regexp.MustCompile(`\b(page|kind|label|link|act|proof|problem|reason|state|status|cause)\.[a-z_]+|⟨[^⟩]*⟩`).FindString(text); key != "" {
		b.Errorf("%s: the text %s is missing", name, key)
	}
	text = byChance.ReplaceAllString(text, "")
	for _, odd := range []string{"undefined", "[object", "NaN", "null", "0x", "<nil>", "%!"} {
		if strings.Contains(text, odd) {
			b.Errorf("%s: the page shows %q:\n%s", name, odd, text)
		}
	}
	b.Fits(name)
}

// Fits looks at what is true of any page, whatever it says: the browser has nothing
// to complain of, nothing is wider than the screen, every control has a name.
func (b *Browser) Fits(name string) {
	b.Helper()
	if faults := b.Complaints(); len(faults) > 0 {
		b.Errorf("%s: the browser complains: %q", name, faults)
	}
	wide := b.reads(`document.documentElement.scrollWidth > innerWidth ? [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 120)).join('\n') || 'something' : ''`)
	if wide != "" {
		b.Errorf("%s: wider than the screen: %s", name, wide)
	}
	nameless := b.reads(`[...document.querySelectorAll('button, input:not([type=hidden]), select, textarea, img')].filter(e => !(e.innerText || e.alt || e.getAttribute('aria-label') || e.labels?.length && e.labels[0].innerText)).map(e => e.outerHTML).join('\n')`)
	if nameless != "" {
		b.Errorf("%s: controls without a name: %s", name, nameless)
	}
	b.shot(name)
}

func (b *Browser) shot(name string) {
	b.Helper()
	if Shots == "" {
		return
	}
	png := looks(b, "screenshot", chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(Shots, name+".png"), png, 0o644); err != nil {
		b.Error(err)
	}
}

// Of makes the browser report to a subtest.
func (b *Browser) Of(t *testing.T) *Browser {
	b.TB = t
	return b
}
