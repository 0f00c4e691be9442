package journal

import (
	"slices"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// A shift's Z report is held against the documents in the journal, and what
// could explain a difference is named.
func TestShiftClosed_HoldsTheReportAgainstTheJournal(t *testing.T) {
	j := fresh(t)
	if err := j.Pair("kassa-1", "AZ-1", ""); err != nil {
		t.Fatal(err)
	}
	to(t, j, "yesterday", receipt.Fiscal)
	if _, err := j.ShiftClosed(register.Reported{Register: "kassa-1"}); err == nil {
		t.Error("a shift was closed that is not open")
	}
	if err := j.ShiftOpened("kassa-1", register.Seen{Serial: "AZ-1", Name: "7", OpenedAt: noon, OpenedBy: "auto"}); err != nil {
		t.Fatal(err)
	}
	if err := j.ShiftOpened("kassa-1", register.Seen{Serial: "AZ-1", Name: "8"}); err == nil {
		t.Error("two shifts are open on one register")
	}
	s, err := j.OpenShift("kassa-1")
	if err != nil || s.Name != "7" || s.OpenedBy != "auto" || !s.OpenedAt.Equal(noon) || s.ClosingBy != "" {
		t.Fatalf("%+v, %v", s, err)
	}
	to(t, j, "sold", receipt.Fiscal)
	to(t, j, "doubtful", receipt.Held)
	sale(t, j, "waits")
	if err := j.ShiftClosing("kassa-1", "Leyla"); err != nil {
		t.Fatal(err)
	}
	if s, err = j.OpenShift("kassa-1"); err != nil || s.ClosingBy != "Leyla" {
		t.Fatalf("%+v, %v", s, err)
	}
	z := register.Report{Shift: "7", Sales: register.Sum{
		Count: 3, Sum: 36_00, Cash: 21_00, Card: 15_00, VAT: []register.VAT{{Rate: 18_00, Amount: 5_49}},
	}, Raw: []byte("as it came")}
	r, err := j.ShiftClosed(register.Reported{Register: "kassa-1", By: "Leyla", At: noon.Add(time.Hour), Report: z})
	if err != nil {
		t.Fatal(err)
	}
	list, err := j.Reports("kassa-1", "z", 5)
	if err != nil || len(list) != 1 || list[0].By != "Leyla" || string(list[0].Report.Raw) != "as it came" || !list[0].At.Equal(noon.Add(time.Hour)) {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, b := range []*register.Balance{r.Report.Balance, list[0].Report.Balance} {
		// Both documents of ours are in shift 7, as their baselines say.
		if b.Journal.Sales.Count != 2 || b.Journal.Sales.Sum != 24_00 || b.Journal.Sales.Cash != 14_00 || b.Journal.Sales.Card != 10_00 {
			t.Errorf("journal %+v", b.Journal.Sales)
		}
		var figures []string
		for _, d := range b.Differences {
			figures = append(figures, d.Figure)
		}
		if !slices.Equal(figures, []string{"sales.count", "sales.sum", "sales.cash", "sales.card", "sales.vat 18.00"}) {
			t.Errorf("differences %+v", b.Differences)
		}
		if !slices.Equal(b.Doubtful, []string{"doubtful"}) || !slices.Equal(b.Open, []string{"doubtful", "waits"}) {
			t.Errorf("doubtful %v, open %v", b.Doubtful, b.Open)
		}
	}
	if _, err := j.OpenShift("kassa-1"); err == nil {
		t.Error("it is open still")
	}
	// The same figures differ in nothing; a report that could not be read is no difference.
	for name, z := range map[string]register.Report{"8": {Shift: "8"}, "9": {Shift: "9", Missing: "the line is dead"}} {
		if err := j.ShiftOpened("kassa-1", register.Seen{Serial: "AZ-1", Name: name, OpenedAt: noon}); err != nil {
			t.Fatal(err)
		}
		if r, err := j.ShiftClosed(register.Reported{Register: "kassa-1", Report: z}); err != nil || len(r.Report.Balance.Differences) != 0 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if n := count(t, j, `SELECT count(*) FROM record WHERE type IN ('shift_opened', 'shift_closed')`); n != 6 {
		t.Errorf("%d records of shifts, want 6", n)
	}
	if err := j.Alert("kassa-1", register.AlertShiftOld, "22h"); err != nil {
		t.Fatal(err)
	}
	if n := count(t, j, `SELECT count(*) FROM record WHERE type = 'alert' AND state = 'kassa-1' AND reason = 'shift_old' AND detail = '22h'`); n != 1 {
		t.Error("no record of the alert")
	}
}
