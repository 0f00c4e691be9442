package journal

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

func TestAccept_SameIDSameContentGivesTheStoredAnswer(t *testing.T) {
	j := fresh(t)
	first := sale(t, j, "r1")
	if first.State != receipt.Waiting || first.Register != "kassa-1" || first.Terminal != "till-1" || first.Seq != 1 || first.Total() != 12_00 {
		t.Errorf("%+v", first)
	}
	conclude(t, j, begin(t, j, first), made("f1"))
	for _, again := range []string{
		body("r1", "sale", ""),
		body("r1", "sale", `,"note":"","fiscal":null`),
		strings.Replace(body("r1", "sale", `,"fiscal":true`), `"1.5"`, `1.500`, 1),
	} {
		for range 2 {
			before := dump(t, j)
			r, f := decode(t, again)
			s, isNew, err := j.Accept("till-1", "kassa-9", r, f)
			if err != nil || isNew || s.State != receipt.Fiscal || s.Document == nil || s.Document.FiscalID != "f1" || s.Register != "kassa-1" {
				t.Errorf("%s: %+v, %v, %v", again, s, isNew, err)
			}
			if dump(t, j) != before {
				t.Error("a repeat wrote something")
			}
			j.Close()
			j = open(t, j.dir)
		}
	}
}

func TestAccept_SameIDOtherContentIsAConflict(t *testing.T) {
	j := fresh(t)
	sale(t, j, "r1")
	for range 2 {
		before := dump(t, j)
		for _, other := range []string{
			body("r1", "sale", `,"note":"x"`), body("r1", "sale", `,"fiscal":false`), body("r1", "prepayment", ""),
			strings.Replace(body("r1", "sale", ""), "7.00", "8.00", 1),
		} {
			r, f := decode(t, other)
			s, isNew, err := j.Accept("till-1", "kassa-1", r, f)
			wantErr(t, other, err, receipt.ErrConflict)
			if isNew || s.ID != "" {
				t.Errorf("%+v, %v", s, isNew)
			}
		}
		if dump(t, j) != before {
			t.Error("a conflict wrote something")
		}
		j.Close()
		j = open(t, j.dir)
	}
	// Another till may use the same id for something else.
	r, f := decode(t, body("r1", "sale", `,"note":"x"`))
	if _, isNew, err := j.Accept("till-2", "kassa-1", r, f); err != nil || !isNew {
		t.Error(isNew, err)
	}
}

func TestAccept_OneIDFromManyAtOnceIsOneReceipt(t *testing.T) {
	j := fresh(t)
	r, f := decode(t, body("r1", "sale", ""))
	news := make(chan bool, 32)
	for range cap(news) {
		go func() {
			s, isNew, err := j.Accept("till-1", "kassa-1", r, f)
			if err != nil || s.Seq != 1 {
				t.Errorf("%+v, %v", s, err)
			}
			news <- isNew
		}()
	}
	n := 0
	for range cap(news) {
		if <-news {
			n++
		}
	}
	if n != 1 || count(t, j, `SELECT count(*) FROM receipt`) != 1 {
		t.Errorf("%d were told that it is new", n)
	}
}

func TestAccept_AnswersAsGetDoes(t *testing.T) {
	j := fresh(t)
	for n, more := range []string{"", `,"fiscal":false`} {
		for k := range 3 {
			s := accept1(t, j, "kassa-1", body(fmt.Sprintf("r%d-%d", n, k), "sale", more))
			got, err := j.Get("till-1", s.ID)
			if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", s) || s.Key == "" {
				t.Errorf("\naccepted %+v\ngot      %+v, %v", s, got, err)
			}
			if want := k; n == 0 && s.Ahead != want {
				t.Errorf("%d go before %s, want %d", s.Ahead, s.ID, want)
			}
		}
	}
	if s := get(t, j, "r1-0", receipt.NonFiscal); s.Reason.Code != register.WhyNotFiscal || s.Ahead != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAccept_ParentRules(t *testing.T) {
	j := fresh(t)
	kinds := []string{"sale", "refund", "cancel", "prepayment", "credit_payment", "correction", "deposit"}
	for _, k := range kinds {
		switch k {
		case "refund", "cancel", "credit_payment":
			accept1(t, j, "kassa-1", body("p-"+k, k, `,"parent":{"fiscal_id":"x","number":"1"}`))
		case "correction":
			accept1(t, j, "kassa-1", body("p-"+k, k, `,"period":{"from":"2026-11-22T00:00:00Z","to":"2026-11-23T00:00:00Z"}`))
		case "deposit":
			r, f, err := receipt.DecodeCash([]byte(`{"id":"p-deposit","amount":5}`), receipt.Deposit, noon)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := j.Accept("till-1", "kassa-1", r, f); err != nil {
				t.Fatal(err)
			}
		default:
			accept1(t, j, "kassa-1", body("p-"+k, k, ""))
		}
	}
	prepaid := func(id, more string) string {
		return strings.Replace(body(id, "sale", more), `"cash":"7.00"`, `"prepaid":"7.00"`, 1)
	}
	allowed := map[string]string{
		"refund": "sale prepayment credit_payment", "cancel": "sale refund prepayment credit_payment correction",
		"credit_payment": "sale", "sale": "prepayment",
	}
	for child, parents := range allowed {
		for _, p := range kinds {
			id := "c-" + child + "-" + p
			b := body(id, child, `,"parent":{"id":"p-`+p+`"}`)
			if child == "sale" {
				b = prepaid(id, `,"parent":{"id":"p-`+p+`"}`)
			}
			r, f := decode(t, b)
			_, _, err := j.Accept("till-1", "kassa-1", r, f)
			if strings.Contains(" "+parents+" ", " "+p+" ") {
				if err != nil {
					t.Errorf("%s of a %s: %v", child, p, err)
				}
				continue
			}
			wantFault(t, child+" of a "+p, err, "parent.id", receipt.CodeParentKind, p)
		}
	}
	r, f := decode(t, body("c1", "refund", `,"parent":{"id":"nobody"}`))
	_, _, err := j.Accept("till-1", "kassa-1", r, f)
	wantFault(t, "no parent", err, "parent.id", receipt.CodeParent, "")
	r, f = decode(t, body("c1", "refund", `,"parent":{"id":"c1"}`))
	_, _, err = j.Accept("till-1", "kassa-1", r, f)
	wantFault(t, "its own parent", err, "parent.id", receipt.CodeParent, "")
	r, f = decode(t, body("c1", "refund", `,"parent":{"id":"p-sale"}`))
	_, _, err = j.Accept("till-2", "kassa-1", r, f)
	wantFault(t, "another till's", err, "parent.id", receipt.CodeParent, "")
	to(t, j, "gone", receipt.Withdrawn)
	r, f = decode(t, body("c1", "refund", `,"parent":{"id":"gone"}`))
	_, _, err = j.Accept("till-1", "kassa-1", r, f)
	wantFault(t, "withdrawn", err, "parent.id", receipt.CodeParentState, "withdrawn")
	if _, err := j.Get("till-1", "c1"); !errors.Is(err, receipt.ErrNotFound) {
		t.Error("something was stored: ", err)
	}
}

func wantFault(t *testing.T, what string, err error, field, code, detail string) {
	t.Helper()
	var f receipt.Faults
	if !errors.As(err, &f) || len(f) != 1 || f[0] != (receipt.Fault{Field: field, Code: code, Detail: detail}) {
		t.Errorf("%s: got %v, want %s: %s (%s)", what, err, field, code, detail)
	}
}

func TestAccept_ACancelTakesItsParentsLines(t *testing.T) {
	j := fresh(t)
	accept1(t, j, "kassa-1", strings.Replace(body("r1", "sale", ""), "7.00", "20.00", 1)) // 13.00 of change
	c := accept1(t, j, "kassa-1", body("c1", "cancel", `,"parent":{"id":"r1"}`))
	if c.Total() != 12_00 || c.Payments != (receipt.Payments{Cash: 7_00, Card: 5_00}) || c.Change() != 0 || c.Items[0].Name != "Plov" {
		t.Errorf("%+v", c)
	}
	// A repeat says as little as the first, and is the same.
	r, f := decode(t, body("c1", "cancel", `,"parent":{"id":"r1"}`))
	if s, isNew, err := j.Accept("till-1", "kassa-1", r, f); err != nil || isNew || s.Total() != 12_00 {
		t.Errorf("%+v, %v, %v", s, isNew, err)
	}
	outside := accept1(t, j, "kassa-1", body("c2", "cancel", `,"parent":{"fiscal_id":"x","number":"1"}`))
	if outside.Total() != 0 {
		t.Errorf("%+v", outside)
	}
}

func TestKeys_AreDigitsThatARegisterCanRead(t *testing.T) {
	seen := map[string]bool{}
	for range 3 {
		j := fresh(t)
		for n := range 20 {
			s := sale(t, j, fmt.Sprint("r", n))
			k, err := strconv.ParseInt(s.Key, 10, 64)
			if err != nil || k <= 0 || k >= 1<<53 || s.Key[0] == '0' {
				t.Errorf("key %q", s.Key)
			}
			if seen[s.Key] {
				t.Errorf("key %q is there twice", s.Key)
			}
			seen[s.Key] = true
			if again, err := j.Get("till-1", s.ID); err != nil || again.Key != s.Key {
				t.Errorf("key %q became %q", s.Key, again.Key)
			}
		}
		last, _ := j.Get("till-1", "r19")
		j.Close()
		j = open(t, j.dir)
		if s := get(t, j, "r19", receipt.Waiting); s.Key != last.Key {
			t.Error("the key is another one after the start")
		}
		if s := sale(t, j, "r20"); seen[s.Key] {
			t.Error("a key came back after the start")
		}
	}
	for range 1000 {
		tag, err := newTag()
		if err != nil || tag < 10_000_000 || (tag+1)*perTag >= 1<<53 {
			t.Fatal(tag, err)
		}
	}
}

func TestGet_IsATillsOwn(t *testing.T) {
	j := fresh(t)
	sale(t, j, "r1")
	_, err := j.Get("till-2", "r1")
	wantErr(t, "another till's", err, receipt.ErrNotFound)
	_, err = j.Get("till-1", "r2")
	wantErr(t, "nobody's", err, receipt.ErrNotFound)
}

func TestList_NewestFirstByStateAndPage(t *testing.T) {
	j := fresh(t)
	for n, s := range []receipt.State{"fiscal", "held", "refused", "withdrawn", "non_fiscal", "waiting", "waiting", "sending"} {
		to(t, j, fmt.Sprint("r", n), s)
	}
	r, f, _ := receipt.DecodeCash([]byte(`{"id":"c1","amount":5}`), receipt.Deposit, noon)
	if _, _, err := j.Accept("till-1", "kassa-1", r, f); err != nil {
		t.Fatal(err)
	}
	r, f = decode(t, body("other", "sale", ""))
	if _, _, err := j.Accept("till-2", "", r, f); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		f    receipt.Filter
		want string
	}{
		{receipt.Filter{}, "other r7 r6 r5 r4 r3 r2 r1 r0"},
		{receipt.Filter{Terminal: "till-1"}, "r7 r6 r5 r4 r3 r2 r1 r0"},
		{receipt.Filter{Terminal: "till-1", Limit: 2}, "r7 r6"},
		{receipt.Filter{Terminal: "till-1", Limit: 2, Before: 7}, "r5 r4"},
		{receipt.Filter{Terminal: "till-1", Cash: true}, "c1"},
		{receipt.Filter{Terminal: "till-2"}, "other"},
		{receipt.Filter{Terminal: "till-3"}, ""},
		{receipt.Filter{States: []receipt.State{receipt.Held, receipt.Refused}}, "r2 r1"},
		{receipt.Filter{States: []receipt.State{receipt.Held}, Before: 2}, ""},
		{receipt.Filter{States: []receipt.State{receipt.Waiting}}, "other r6 r5"},
		{receipt.Filter{States: []receipt.State{receipt.Sending, receipt.Waiting}, Terminal: "till-1"}, "r7 r6 r5"},
		{receipt.Filter{States: []receipt.State{receipt.Held, receipt.Fiscal, receipt.Waiting}, Limit: 3}, "other r6 r5"},
		{receipt.Filter{States: []receipt.State{"lost"}}, ""},
	} {
		list, err := j.List(c.f)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, s := range list {
			ids = append(ids, s.ID)
		}
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.f, got, c.want)
		}
	}
}

func TestQueue_CountsWhatIsNotDone(t *testing.T) {
	at := noon
	j, err := Open(filepath.Join(t.TempDir(), "data"), func() time.Time { at = at.Add(time.Second); return at })
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if q, err := j.Queue("kassa-1"); err != nil || q != (register.Queue{}) {
		t.Errorf("%+v, %v", q, err)
	}
	for n, s := range []receipt.State{"fiscal", "held", "held", "refused", "withdrawn", "non_fiscal", "checking", "waiting", "waiting"} {
		to(t, j, fmt.Sprint("r", n), s)
	}
	r, f := decode(t, body("unbound", "sale", ""))
	if _, _, err := j.Accept("till-1", "", r, f); err != nil {
		t.Fatal(err)
	}
	oldest := get(t, j, "r6", receipt.Checking).ReceivedAt
	want := register.Queue{Waiting: 3, Checking: 1, Held: 2, Refused: 1, Oldest: oldest}
	if q, err := j.Queue("kassa-1"); err != nil || q != want {
		t.Errorf("got %+v, %v, want %+v", q, err, want)
	}
	if n, err := j.Unbound("till-1"); n != 1 || err != nil {
		t.Error(n, err)
	}
	if n, err := j.Unbound("till-2"); n != 0 || err != nil {
		t.Error(n, err)
	}
	if names, err := j.Registers(); err != nil || fmt.Sprint(names) != "[kassa-1]" {
		t.Error(names, err)
	}
}
