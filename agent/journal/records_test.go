package journal

import (
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

func records(t testing.TB, j *Journal, epoch, after int64) []register.Record {
	t.Helper()
	list, err := j.Records(epoch, after, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for n, r := range list {
		if r.Seq <= after || n > 0 && r.Seq <= list[n-1].Seq || r.Epoch != epoch {
			t.Fatalf("record %d of epoch %d after %d", r.Seq, r.Epoch, after)
		}
	}
	return list
}

func TestRecords_TellWhatWasSoWhenTheyWereWritten(t *testing.T) {
	j := fresh(t)
	s := sale(t, j, "r1")
	conclude(t, j, begin(t, j, s), register.Conclusion{State: receipt.Waiting, Proof: register.ProofNotSent, Reason: receipt.Reason{Code: "why", Detail: "detail"}})
	before := records(t, j, j.Epoch(), 0)
	if moved, err := j.Bind("till-1", "kassa-2"); moved != 1 || err != nil {
		t.Fatal(moved, err)
	}
	s = get(t, j, "r1", receipt.Waiting)
	a := begin(t, j, s)
	c := made("f1")
	c.Document.Printed = false
	conclude(t, j, a, c)
	fiscal := records(t, j, j.Epoch(), 0)
	if err := j.Printed(s.Seq); err != nil {
		t.Fatal(err)
	}
	all := records(t, j, j.Epoch(), 0)
	if !reflect.DeepEqual(all[:3], before) || !reflect.DeepEqual(all[:5], fiscal) {
		t.Errorf("what came later changed what was told:\n%+v\n%+v", all, before)
	}
	var got []string
	for _, r := range all {
		x := r.Receipt
		got = append(got, fmt.Sprint(r.Seq, r.Type, x.State, x.Register, x.Attempts, x.Reason.Code, len(r.Content) > 0, x.Document != nil && x.Document.Printed, x.Document != nil, x.Total()))
	}
	want := []string{
		"1 receipt waiting kassa-1 0  true false false 12.00",
		"2 receipt sending kassa-1 1  false false false 12.00",
		"3 receipt waiting kassa-1 1 why false false false 12.00",
		"4 receipt sending kassa-2 2  false false false 12.00",
		"5 receipt fiscal kassa-2 2  false false true 12.00",
		"6 receipt fiscal kassa-2 2  false true true 12.00",
	}
	for n := range max(len(got), len(want)) {
		if n >= len(got) || n >= len(want) || squeeze(got[n]) != squeeze(want[n]) {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
	}
}

func squeeze(s string) (out string) {
	for _, c := range s {
		if c != ' ' {
			out += string(c)
		}
	}
	return out
}

func TestRecords_OfShiftsReportsAndAlerts(t *testing.T) {
	j := fresh(t)
	pulse, stop := j.WatchRecords()
	defer stop()
	pulsed := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(what, err)
		}
		select {
		case <-pulse:
		default:
			t.Errorf("no pulse after %s", what)
		}
	}
	pulsed("a shift", j.ShiftOpened("kassa-1", register.Seen{Serial: "AZ-1", Name: "7", OpenedBy: "auto", OpenedAt: noon}))
	_, err := j.ShiftClosed(register.Reported{Register: "kassa-1", By: "Leyla", At: noon, Report: register.Report{Shift: "7", Raw: []byte("raw")}})
	pulsed("a Z", err)
	pulsed("an X", j.SaveReport(register.Reported{Register: "kassa-1", Kind: "x", At: noon}))
	pulsed("an alert", j.Alert("kassa-1", register.AlertClock, "2m0s"))
	sale(t, j, "r1")
	pulsed("a receipt", nil)
	list := records(t, j, j.Epoch(), 0)
	opened, closed, x, alert := list[0], list[1], list[2], list[3]
	if opened.Type != register.RecordShiftOpened || opened.About != "kassa-1" || opened.Code != "7" || opened.Detail != "auto" || !opened.OpenedAt.Equal(noon) {
		t.Errorf("%+v", opened)
	}
	if closed.Type != register.RecordShiftClosed || closed.Report.By != "Leyla" || string(closed.Report.Report.Raw) != "raw" || closed.Report.Report.Balance == nil {
		t.Errorf("%+v", closed)
	}
	if x.Type != register.RecordXReport || x.Report.Kind != "x" || !x.Report.At.Equal(noon) {
		t.Errorf("%+v", x)
	}
	if alert.Type != register.RecordAlert || alert.About != "kassa-1" || alert.Code != register.AlertClock || alert.Detail != "2m0s" {
		t.Errorf("%+v", alert)
	}
}

func TestAcked_GoesForwardOnlyAndDeletesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	j := open(t, dir)
	for n := range 5 {
		sale(t, j, fmt.Sprint("r", n))
	}
	before := dump(t, j)
	for _, c := range []struct{ upTo, left int64 }{{3, 2}, {2, 2}, {0, 2}, {4, 1}} {
		if err := j.Acked(j.Epoch(), c.upTo); err != nil {
			t.Fatal(err)
		}
		if n, err := j.Unacknowledged(); n != c.left || err != nil {
			t.Errorf("after %d: %d left, %v", c.upTo, n, err)
		}
	}
	if dump(t, j) != before {
		t.Error("an acknowledgement changed what happened")
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := open(t, dir).Unacknowledged(); n != 1 || err != nil {
		t.Errorf("after a restart %d left, %v", n, err)
	}
}

// A backup that is put back is older than what the cloud may have: its rest is
// told again, under its old numbers, before what is new; nothing of the epoch
// that went on without it is made up.
func TestUntold_AfterABackupWasPutBack(t *testing.T) {
	folder := t.TempDir()
	dir, out := filepath.Join(folder, "data"), filepath.Join(folder, "backup.db")
	j := open(t, dir)
	for n := range 3 {
		sale(t, j, fmt.Sprint("r", n))
	}
	old := j.Epoch()
	if err := j.Acked(old, 2); err != nil {
		t.Fatal(err)
	}
	if err := Backup(dir, out); err != nil {
		t.Fatal(err)
	}
	told := records(t, j, old, 0)
	for n := range 4 {
		sale(t, j, fmt.Sprint("later", n))
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(dir, out, time.Now()); err != nil {
		t.Fatal(err)
	}
	j = open(t, dir)
	sale(t, j, "after")
	list, err := j.Untold()
	if err != nil || len(list) != 2 || list[0] != (register.Told{Epoch: old, Acked: 2, Last: 3}) ||
		list[1] != (register.Told{Epoch: j.Epoch(), Last: 6}) || j.Epoch() <= old { // an alert, three that are held, one new one in two steps
		t.Fatalf("%+v, %v", list, err)
	}
	if got := records(t, j, old, 0); !reflect.DeepEqual(got, told) {
		t.Errorf("told another way than before:\n%+v\n%+v", got, told)
	}
	fresh := records(t, j, j.Epoch(), 0)
	if fresh[0].Seq != 1 || fresh[0].Type != register.RecordAlert || len(fresh[1].Content) == 0 || fresh[1].Receipt.State != receipt.Held {
		t.Errorf("%+v", fresh)
	}
	if err := j.Acked(old, 3); err != nil {
		t.Fatal(err)
	}
	if list, err := j.Untold(); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestTellHealth_IsOneRecordUntilTheCloudHasIt(t *testing.T) {
	j := fresh(t)
	sale(t, j, "r1")
	for _, data := range []string{`{"waiting":1}`, `{"waiting":2}`} {
		if told, err := j.TellHealth([]byte(data)); err != nil || told != (data == `{"waiting":1}`) {
			t.Fatal(err)
		}
	}
	list := records(t, j, j.Epoch(), 0)
	if len(list) != 2 || list[1].Type != register.RecordHealth || string(list[1].Content) != `{"waiting":1}` {
		t.Fatalf("%+v", list)
	}
	if err := j.Acked(j.Epoch(), 2); err != nil {
		t.Fatal(err)
	}
	if told, err := j.TellHealth([]byte(`{"waiting":3}`)); err != nil || !told {
		t.Fatal(err)
	}
	list = records(t, j, j.Epoch(), 0)
	if len(list) != 3 || string(list[1].Content) != `{}` || string(list[2].Content) != `{"waiting":3}` {
		t.Errorf("%+v", list)
	}
}

func TestAcked_RefusesWhatWasNeverWritten(t *testing.T) {
	j := fresh(t)
	sale(t, j, "r1")
	for _, upTo := range []int64{2, math.MaxInt64} {
		if err := j.Acked(j.Epoch(), upTo); err == nil {
			t.Error("the cloud has more than there is, and nobody hears of it")
		}
	}
	if n, err := j.Unacknowledged(); n != 1 || err != nil {
		t.Errorf("%d left, %v", n, err)
	}
}

func TestSetApart_StaysApartAndStopsNothing(t *testing.T) {
	j := fresh(t)
	sale(t, j, "r1")
	sale(t, j, "r2")
	for _, why := range []string{"no broker takes it", "a second time"} {
		if err := j.SetApart(j.Epoch(), 1, why); err != nil {
			t.Fatal(err)
		}
	}
	list := records(t, j, j.Epoch(), 0)
	if len(list) != 2 || list[0].Apart != "no broker takes it" || list[0].Receipt != nil || list[1].Apart != "" {
		t.Errorf("%+v", list)
	}
	if err := j.SetApart(j.Epoch(), 99, "no such record"); err == nil {
		t.Error("what is not there was set apart")
	}
	get(t, j, "r1", receipt.Waiting)
}

func TestCommands_AreBegunOnceAndAnsweredOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	j := open(t, dir)
	first, err := j.Arrived("c1", "x_report")
	if err != nil || first.Begun || first.Answer != nil {
		t.Fatalf("%+v, %v", first, err)
	}
	if err := j.BeginCommand("c1"); err != nil {
		t.Fatal(err)
	}
	if err := j.BeginCommand("c1"); err == nil {
		t.Error("begun twice")
	}
	if err := j.BeginCommand("never"); err == nil {
		t.Error("begun without having arrived")
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, dir)
	if o, err := j.Arrived("c1", "x_report"); err != nil || !o.Begun || o.Answer != nil || !o.ArrivedAt.Equal(first.ArrivedAt) {
		t.Errorf("after a restart %+v, %v", o, err)
	}
	for _, answer := range []string{"yes", "no"} {
		if err := j.Answered("c1", []byte(answer)); err != nil {
			t.Fatal(err)
		}
	}
	if o, err := j.Arrived("c1", "x_report"); err != nil || string(o.Answer) != "yes" {
		t.Errorf("%+v, %v", o, err)
	}
	err = j.writer.do(func(x *tx) error {
		_, err := x.run(`UPDATE command SET begun = 0`)
		return err
	})
	if err == nil {
		t.Error("the schema lets a command be done twice")
	}
}

func TestCommands_TheOldestAreForgotten(t *testing.T) {
	j := fresh(t)
	if _, err := j.Arrived("c0", "check"); err != nil {
		t.Fatal(err)
	}
	err := j.writer.do(func(x *tx) error {
		_, err := x.run(`INSERT INTO command (id, name, arrived_at) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
			SELECT 'c' || i, 'check', 0 FROM n`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Arrived("last", "check"); err != nil {
		t.Fatal(err)
	}
	if n, old := count(t, j, `SELECT count(*) FROM command`), count(t, j, `SELECT count(*) FROM command WHERE id IN ('c0', 'c1')`); n != keptCommands || old != 0 {
		t.Errorf("%d are kept, %d of the oldest two", n, old)
	}
}

func TestSession_Rises(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	j := open(t, dir)
	a, err := j.Session()
	if err != nil {
		t.Fatal(err)
	}
	b, err := j.Session()
	if err != nil || b <= a {
		t.Errorf("%d after %d, %v", b, a, err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j, err = Open(dir, func() time.Time { return time.Unix(1, 0) }) // a Pi's clock after a power cut
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if c, err := j.Session(); err != nil || c <= b {
		t.Errorf("%d after %d, %v", c, b, err)
	}
}
