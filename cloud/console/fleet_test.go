package console_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ekassa/cloud/browsertest"
	"ekassa/cloud/console"
	"ekassa/cloud/control"
	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

// box is an agent as it stands in the list.
type box struct {
	venue, name, agent string
	online             bool
	health             wire.Health
	shows              string // in English
}

// enrol lets the box in; what it tells is stored as it comes.
func (o *office) enrol(b box) {
	o.Helper()
	if _, err := o.control.AddVenue(o.Context(), owner, b.venue, b.name); err != nil {
		o.Fatal(err)
	}
	code, _, err := o.control.Enrol(o.Context(), owner, b.venue, b.agent)
	if err != nil {
		o.Fatal(err)
	}
	_, err = o.store.Enrol(o.Context(), fleet.HashCode(code), func(e fleet.Enrolment) (fleet.Certificate, error) {
		return fleet.Certificate{Serial: "01" + e.Agent, Agent: e.Agent, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}, nil
	}, time.Now())
	if err != nil {
		o.Fatal(err)
	}
	if err := o.store.Presence(o.Context(), b.agent, wire.Presence{Online: b.online, Session: 1, Version: "1.3.0", Epoch: 1}, time.Now()); err != nil {
		o.Fatal(err)
	}
	o.tells(b.agent, 1, wire.RecordHealth, b.health)
}

// tells stores records of a kind, the first of them numbered seq.
func (o *office) tells(agent string, seq int64, kind string, data ...any) {
	o.Helper()
	var batch []wire.Record
	for n, d := range data {
		raw, err := json.Marshal(d)
		if err != nil {
			o.Fatal(err)
		}
		batch = append(batch, wire.Record{V: wire.Version, Agent: agent, Epoch: 1, Seq: seq + int64(n), Type: kind, Time: time.Now(), Data: raw})
	}
	if _, err := o.store.Ingest(o.Context(), batch); err != nil {
		o.Fatal(err)
	}
}

func azn(qapik int64) string { return fmt.Sprintf("%d.%02d", qapik/100, qapik%100) }

// A page says of when it is. The list of agents, which is left open on a screen, is
// loaded anew by itself; what somebody may be typing into never is.
func TestConsole_SaysOfWhenAPageIs(t *testing.T) {
	o := open(t)
	d := o.signIn("leyla", o.user("leyla", fleet.Admin))
	o.enrol(box{venue: "baku-01", name: "Nizami 10", agent: "baku-01-a", online: true})
	const every = `<meta http-equiv="refresh" content="60">`
	typed := regexp.MustCompile(`<(select|textarea|input( [^>]*)?)>`)
	hidden := regexp.MustCompile(`<input type="hidden"[^>]*>`)
	for _, lang := range console.Languages {
		before, after, _ := strings.Cut(words(t, lang)["as_of"], "{0}")
		as := regexp.MustCompile(regexp.QuoteMeta(before) + `(\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d)` + regexp.QuoteMeta(after))
		for _, path := range []string{"/", "/agents/baku-01-a", "/venues", "/venues/baku-01", "/reports", "/alerts", "/rollouts", "/users", "/webhooks", "/acts"} {
			began := time.Now().Truncate(time.Second)
			status, page := d.ask(lang, http.MethodGet, path, nil)
			m := as.FindStringSubmatch(page)
			if status != http.StatusOK || m == nil {
				t.Fatalf("%s in %s: %d\n%s", path, lang, status, page)
			}
			if at, err := time.ParseInLocation("02.01.2006 15:04:05", m[1], control.Zone); err != nil || at.Before(began) || at.After(time.Now()) {
				t.Errorf("%s: made at %s (%v), asked for at %s", path, m[1], err, began)
			}
			if strings.Contains(page, "http-equiv=\"refresh\"") && typed.MatchString(hidden.ReplaceAllString(page, "")) {
				t.Errorf("%s is loaded anew while somebody types", path)
			}
			if strings.Contains(page, every) != (path == "/") {
				t.Errorf("%s is loaded anew: %t", path, path != "/")
			}
		}
	}
	if err := o.store.Presence(t.Context(), "baku-01-a", wire.Presence{Session: 1, Version: "1.3.0", Epoch: 1}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, page := d.ask("en", http.MethodGet, "/", nil); !strings.Contains(page, ">away<") || !strings.Contains(page, every) {
		t.Errorf("loaded anew:\n%s", page)
	}
}

// Several restaurants at a glance: the list says of each how it is, and the chart's
// bars are as high as the days' sales.
func TestConsole_AFleetAtAGlance(t *testing.T) {
	o := open(t)
	kassa := func(id, driver, link string, age int64) wire.RegisterHealth {
		return wire.RegisterHealth{ID: id, Driver: driver, Mode: "active", Link: link, Serial: "S-1", ShiftOpen: age > 0, ShiftAge: age}
	}
	boxes := []box{
		{"baku-01", "Nizami 10", "baku-01-a", true, wire.Health{Registers: []wire.RegisterHealth{kassa("bar", "azsmart", "ready", 22000), kassa("hall", "omnitech", "ready", 21400)}}, "connected"},
		{"baku-02", "Çayxana Əli", "baku-02-a", true, wire.Health{Waiting: 14, OldestSeconds: 2700, Registers: []wire.RegisterHealth{kassa("bar", "azsmart", "down", 30100)}}, "does not answer"},
		{"ganja-01", "Gəncə Plov", "ganja-01-a", true, wire.Health{Registers: []wire.RegisterHealth{kassa("bar", "caspos", "ready", 18000)}}, "connected"},
		{"sheki-01", "Şəki Karvansaray", "sheki-01-a", false, wire.Health{Registers: []wire.RegisterHealth{kassa("bar", "azsmart", "ready", 0)}}, "away"},
	}
	for _, b := range boxes {
		o.enrol(b)
	}

	// A fortnight of receipts of 21 AZN, the last of a day takes the rest. On one day somebody rang up a tea by hand.
	sums := []int64{84210, 91350, 128840, 163020, 150475, 79990, 82630, 88015, 95540, 131225, 171890, 158760, 76305, 85190} // qapik
	today := time.Now().In(control.Zone)
	seq := int64(2)
	var heights []string
	for day, sum := range sums {
		heights = append(heights, fmt.Sprint(sum*120/slices.Max(sums)))
		closed := time.Date(today.Year(), today.Month(), today.Day()-len(sums)+day, 23, 41, 0, 0, control.Zone)
		count := sum / 2100
		var receipts []any
		for n := range count {
			total := int64(2100)
			if n == count-1 {
				total += sum % 2100
			}
			at, id := closed.Add(-time.Duration(n+1)*8*time.Minute), fmt.Sprintf("r-%d-%d", day, n)
			receipts = append(receipts, wire.Receipt{Terminal: "till-1", ID: id, Register: "bar", Kind: "sale", Total: azn(total), State: "fiscal", ReceivedAt: at,
				Document: &wire.Document{FiscalID: "F-" + id, Serial: "S-1", At: at}})
		}
		o.tells("baku-01-a", seq, wire.RecordReceipt, receipts...)
		seq += count
		z := wire.ShiftReport{Register: "bar", Shift: fmt.Sprint(day + 101), OpenedAt: closed.Add(-12 * time.Hour), ClosedAt: closed, By: "Aysel Ə."}
		if day == 9 {
			z.Differences = []wire.Difference{
				{Figure: "sales.count", Journal: fmt.Sprint(count), Register: fmt.Sprint(count + 1)},
				{Figure: "sales.sum", Journal: azn(sum), Register: azn(sum + 700)},
			}
			count, sum = count+1, sum+700
		}
		z.Report = json.RawMessage(fmt.Sprintf(`{"shift":%q,"sales":{"count":%d,"sum":%q},"refunds":{"count":0,"sum":"0.00"}}`, z.Shift, count, azn(sum)))
		o.tells("baku-01-a", seq, wire.RecordShiftClosed, z)
		seq++
	}
	o.tells("baku-02-a", 2, wire.RecordAlert, wire.Alert{Register: "bar", Code: "register_away", Detail: "45m"})

	v := visitor{browsertest.New(t), o.url}
	v.Size(1000)
	v.signIn("leyla", o.user("leyla", fleet.Admin))
	v.speak("en")
	for _, b := range boxes {
		row := v.Says(fmt.Sprintf(`document.querySelector('a[href="/agents/%s"]').closest('tr').innerText`, b.agent))
		if !strings.Contains(row, b.shows) {
			t.Errorf("of %s the list says %q, want %q", b.agent, row, b.shows)
		}
	}
	v.Blameless("console-fleet-agents")
	v.Open(o.url + "/reports?venue=baku-01")
	if got, want := v.Says(`[...document.querySelectorAll('svg rect')].map(r => r.getAttribute('height')).join()`), strings.Join(heights, ","); got != want {
		t.Errorf("the bars are %s high, want %s", got, want)
	}
	v.Sees("sales.sum: 1312.25 / 1319.25")
	v.Blameless("console-fleet-reports")
}
