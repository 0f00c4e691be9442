package caspos

import (
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

func TestMoney_RoundsSinglePrecision(t *testing.T) {
	for text, want := range map[string]receipt.Money{
		`0.5999999`: 60, `-0.8000001`: -80, `"12.00"`: 1200, `1.2345678E7`: 1234567800, `3`: 300, `"null"`: 0, `null`: 0, `"x"`: 0, `1e300`: 0, `"0x1p4"`: 0, `"NaN"`: 0,
	} {
		o, err := objectOf([]byte(`{"sum":` + text + `}`))
		if got := o.money("sum"); err != nil || got != want {
			t.Errorf("%s: %v (%v), want %v", text, got, err, want)
		}
	}
}

func TestTime(t *testing.T) {
	want := time.Date(2023, 10, 4, 15, 4, 9, 0, baku)
	for _, s := range []string{"04.10.2023 15:04:09", "04.10.202315:04:09", " 04.10.2023 15:04:09 ", "2023-10-04T11:04:09Z", "2023-10-04T15:04:09"} {
		o := object{"at": []byte(`"` + s + `"`)}
		if got := o.time(baku, "at"); !got.Equal(want) {
			t.Errorf("%s: %s", s, got)
		}
	}
	for _, s := range []string{"", "null", "01.01.0001 00:00:00", "4.10.2023", "x"} {
		o := object{"at": []byte(`"` + s + `"`)}
		if got := o.time(baku, "at"); !got.IsZero() {
			t.Errorf("%s: %s", s, got)
		}
	}
}

// FuzzAnswer reads anything as every kind of answer. What it holds: no verdict is
// Made without a document that has a name, none is Made or Refused by an answer
// without a code, and the same bytes always mean the same.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		made42, openShift, closedShift, printerOut, tape(row("42", "sale", "12")), info("41.0"), `{"code":"0",` + zReport + `}`,
		`{"code":1}`, `{"code":"1","data":{"document_id":"null"}}`, `{"CODE":"503","data":[]}`, `{"code":"0","co_de":"607","data":{"number":1}}`, `{`, ``, `null`,
		`{"code":1e1,"data":{"a":[{}],"b":[1]}}`, "\xef\xbb\xbf{\"code\":\"\\u0000\"}",
	} {
		f.Add([]byte(s))
	}
	d := New(Config{Zone: baku, Now: func() time.Time { return time.Unix(1, 0) }})
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := decode(body)
		if err != nil {
			return
		}
		for _, operation := range operations {
			o := d.outcome(operation, a)
			if o.Verdict == register.Made && (o.Document == nil || o.Document.FiscalID+o.Document.Number == "") {
				t.Errorf("made without a name: %q, %+v", body, o)
			}
			if o.Verdict == register.Made && refuses(a) || o.Verdict == register.Refused && a.named() {
				t.Errorf("%s by %q", o.Verdict, body)
			}
			if (o.Verdict == register.Made) != (o.Err == nil) {
				t.Errorf("%q: %s, %v", body, o.Verdict, o.Err)
			}
		}
		if b, err := decode(body); err != nil || b.code != a.code || b.message != a.message || d.outcome(opSale, b).Verdict != d.outcome(opSale, a).Verdict {
			t.Errorf("%q is read in two ways", body)
		}
		d.report(a, register.Shift{})
		rowsOf(a.data)
		done(opClose, a)
		a.data.time(baku, "shift_open_time")
	})
}
