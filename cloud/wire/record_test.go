package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func goldenRecords(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/v1/record-*.json")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d golden records, %v", len(files), err)
	}
	all := map[string][]byte{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[f] = data
	}
	return all
}

// What is read and written again is the same: no field of a golden message is
// unknown here, and none is added.
func TestParseRecord_ReadsTheGoldenMessages(t *testing.T) {
	for name, data := range goldenRecords(t) {
		r, err := ParseRecord(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		body, err := r.Body()
		if err != nil || body == nil {
			t.Errorf("%s: %+v, %v", name, body, err)
			continue
		}
		if r.Data, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := json.Compact(&want, data); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, want.Bytes()) {
			t.Errorf("%s:\n%s\nwant\n%s", name, again, &want)
		}
		if report, ok := body.(*ShiftReport); ok {
			var totals Totals
			if err := json.Unmarshal(report.Report, &totals); err != nil || totals.Sales.Sum != "12.00" || totals.Sales.VAT[0].Amount != "1.83" {
				t.Errorf("%s: %+v, %v", name, totals, err)
			}
		}
	}
}

func TestParseRecord_RefusesWhatIsNone(t *testing.T) {
	good := `{"v":1,"agent":"a","epoch":1,"seq":1,"type":"alert","time":"2026-11-23T08:00:00Z","data":{"code":"x"},"later":true}`
	if _, err := ParseRecord([]byte(good)); err != nil {
		t.Fatal(err)
	}
	if r, err := ParseRecord([]byte(strings.Replace(good, `"alert"`, `"weather"`, 1))); err != nil {
		t.Error(err)
	} else if body, err := r.Body(); body != nil || err != nil {
		t.Errorf("%v, %v", body, err)
	}
	if _, err := ParseRecord([]byte(strings.Replace(good, `"v":1`, `"v":2,"seq":"seven"`, 1))); !errors.Is(err, ErrNewer) {
		t.Error(err)
	}
	for _, c := range [][2]string{
		{`"v":1`, `"v":0`}, {`"agent":"a"`, `"agent":"a/b"`}, {`"epoch":1`, `"epoch":0`}, {`"seq":1`, `"seq":-1`}, {`"seq":1`, `"seq":1.5`},
		{`"seq":1`, `"seq":9223372036854775808`}, {`"type":"alert"`, `"type":""`}, {`"time":"2026-11-23T08:00:00Z"`, `"time":"yesterday"`},
		{`{"code":"x"}`, `"x"`}, {`{"code":"x"}`, `null`}, {`"code":"x"`, "\"code\":\"\xff\""}, {good, ""}, {good, strings.Repeat(" ", MaxMessage+1)}, {`}`, ""},
	} {
		if r, err := ParseRecord([]byte(strings.Replace(good, c[0], c[1], 1))); err == nil {
			t.Errorf("%s is taken: %+v", c[1], r)
		}
	}
	for kind, data := range map[string]string{RecordReceipt: `{"total":1}`, RecordAlert: `{"code":[]}`, RecordHealth: `{"waiting":"x"}`, RecordXReport: `{"raw":"?"}`} {
		if body, err := (Record{Type: kind, Data: []byte(data)}).Body(); err == nil {
			t.Errorf("%s: %s is taken: %+v", kind, data, body)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	for _, data := range goldenRecords(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseRecord(data)
		if err != nil {
			return
		}
		if r.V < 1 || r.V > Version || !ValidAgent(r.Agent) || r.Epoch < 1 || r.Seq < 1 || r.Type == "" || !json.Valid(r.Data) {
			t.Fatalf("%+v", r)
		}
		if _, err := r.Body(); err != nil {
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatalf("it cannot be written again: %v", err)
		}
		if len(again) > MaxMessage {
			return // escapes made it longer
		}
		if b, err := ParseRecord(again); err != nil || b.Seq != r.Seq || !b.Time.Equal(r.Time) {
			t.Fatalf("%v: %s", err, again)
		}
	})
}
