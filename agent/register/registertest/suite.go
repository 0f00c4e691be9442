package registertest

import (
	"context"
	"errors"
	"testing"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/simulator"
)

// Run tries a maker's driver on everything that the engine relies on.
func Run(t *testing.T, m Maker) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Maker)
	}{
		{"identify", identify},
		{"shift and reports", shiftAndReports},
		{"every kind is made and read back", everyKind},
		{"refused data", refusedData},
		{"closed shift", closedShift},
		{"expired shift", expiredShift},
		{"lost answers", lostAnswers},
		{"the guard holds", guardHolds},
		{"busy", busy},
		{"paper out", paperOut},
		{"reboot", reboot},
		{"another serial", anotherSerial},
		{"wrong credentials", wrongCredentials},
		{"nobody there", nobodyThere},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.test(t, m) })
	}
}

func causeOf(err error) register.Cause {
	var f *register.Fault
	if !errors.As(err, &f) {
		return "no fault"
	}
	return f.Cause
}

func identify(t *testing.T, m Maker) {
	s := m.start(t)
	i, err := s.reg.Identify(t.Context())
	if err != nil || i.Serial != s.sim.Serial() || i.Model == "" || i.Company == "" || i.TaxNumber == "" {
		t.Errorf("identity %+v, %v; the serial is %s", i, err, s.sim.Serial())
	}
	a := s.reg.Abilities()
	for kind := range m.Routes {
		if !a.Can(kind) || a.Kinds[kind] != m.class(kind) {
			t.Errorf("%s: class %q, want %q", kind, a.Kinds[kind], m.class(kind))
		}
	}
	if len(a.Kinds) != len(m.Routes) || a.Settle <= 0 || a.Names <= 0 {
		t.Errorf("abilities %+v", a)
	}
}

func shiftAndReports(t *testing.T, m Maker) {
	s := m.start(t)
	if sh, err := s.reg.Shift(t.Context()); err != nil || sh.Open {
		t.Errorf("before the first shift: %+v, %v", sh, err)
	}
	if o := s.reg.OpenShift(t.Context(), "Əli"); o.Verdict != register.Made {
		t.Fatalf("open: %+v", o)
	}
	if o := s.reg.OpenShift(t.Context(), "Əli"); o.Verdict != register.Refused || o.Cause != register.ShiftOpen {
		t.Errorf("open an open one: %+v", o)
	}
	if sh, err := s.reg.Shift(t.Context()); err != nil || !sh.Open {
		t.Errorf("after opening: %+v, %v", sh, err)
	}
	s.make(cash(receipt.Deposit, 50_00), nil)
	s.make(sale(), nil)
	sold := s.make(cashSale(), nil)
	s.make(refundOf(sold), sold)
	check := func(what string, r register.Report) {
		t.Helper()
		raw := len(r.Raw)
		r.Raw = nil
		if r.Sales.Count != 2 || r.Sales.Sum != 24_60 || r.Sales.Cash != 23_60 || r.Sales.Card != 1_00 || raw == 0 ||
			r.Refunds.Count != 1 || r.Refunds.Sum != 5_00 || r.Refunds.Cash != 5_00 || r.In.Count != 1 || r.In.Sum != 50_00 ||
			// The tax is 3.75 of the turnover, and 3.76 where it is rounded per document.
			len(r.Sales.VAT) != 1 || r.Sales.VAT[0].Rate != 18_00 || r.Sales.VAT[0].Amount != 3_75 && r.Sales.VAT[0].Amount != 3_76 {
			t.Errorf("%s: %+v", what, r)
		}
	}
	x, err := s.reg.XReport(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	check("X report", x)
	z, o := s.reg.CloseShift(t.Context(), "Əli")
	if o.Verdict != register.Made {
		t.Fatalf("close: %+v", o)
	}
	check("Z report", z)
	if sh, err := s.reg.Shift(t.Context()); err != nil || sh.Open {
		t.Errorf("after closing: %+v, %v", sh, err)
	}
	if _, o := s.reg.CloseShift(t.Context(), "Əli"); o.Verdict != register.Refused || o.Cause != register.ShiftClosed {
		t.Errorf("close a closed one: %+v", o)
	}
}

// everyKind makes one of each and holds it against the ledger.
func everyKind(t *testing.T, m Maker) {
	s := m.open(t)
	made := func(r receipt.Receipt, parent *receipt.Stored, kind simulator.Kind, amount receipt.Money) *receipt.Stored {
		t.Helper()
		if _, ok := m.Routes[r.Kind]; !ok {
			return nil
		}
		before := len(s.sim.Ledger())
		stored := s.make(r, parent)
		ledger := s.sim.Ledger()
		if len(ledger) != before+1 {
			t.Fatalf("%s made %d documents", r.Kind, len(ledger)-before)
		}
		got, doc := ledger[before], stored.Document
		if got.Kind != kind || receipt.Money(got.Amount) != amount || !doc.Printed ||
			(doc.FiscalID != "" && doc.FiscalID != got.FiscalID) || (doc.FiscalID == "" && !r.Kind.IsCash()) || doc.At.IsZero() {
			t.Errorf("%s: %+v is told of %+v", r.Kind, doc, got)
		}
		for _, i := range got.Items {
			if i.Name == "" || i.TaxRate != 18_00 {
				t.Errorf("%s: line %+v", r.Kind, i)
			}
		}
		return stored
	}
	made(cash(receipt.Deposit, 100_00), nil, simulator.Deposit, 100_00)
	made(sale(), nil, simulator.Sale, 14_60)
	if l := s.sim.Ledger(); l[len(l)-1].Items[0].Name != "Şah plov `Bakı`" || l[len(l)-1].Payments != (simulator.Payments{Cash: 13_60, Cashless: 1_00}) {
		t.Errorf("sale %+v", l[len(l)-1])
	}
	sold := made(cashSale(), nil, simulator.Sale, 10_00)
	made(refundOf(sold), sold, simulator.Refund, 5_00)
	again := made(cashSale(), nil, simulator.Sale, 10_00)
	made(cancelOf(again), again, simulator.Rollback, 10_00)
	advance := made(prepayment(), nil, simulator.Prepay, 20_00)
	if advance != nil {
		made(prepaidSale(advance), advance, simulator.Sale, 25_00)
	}
	debt := made(creditSale(), nil, simulator.Sale, 30_00)
	payment := made(creditPayment(debt), debt, simulator.CreditPay, 10_00)
	s.repaid = register.Repaid{Count: 1, Sum: 10_00}
	made(creditPayment(debt), debt, simulator.CreditPay, 10_00)
	if !m.KeepsPayments {
		made(cancelOf(payment), payment, simulator.Rollback, 10_00)
	}
	s.repaid = register.Repaid{}
	wholly := made(creditSale(), nil, simulator.Sale, 30_00)
	made(cancelOf(wholly), wholly, simulator.Rollback, 30_00)
	made(correction(), nil, simulator.Correction, 7_00)
	made(cash(receipt.Withdrawal, 40_00), nil, simulator.Withdraw, 40_00)
}

// refusedData: bad data is refused, with a cause that leaves it to a person, and
// nothing is made.
func refusedData(t *testing.T, m Maker) {
	s := m.open(t)
	sold := s.make(cashSale(), nil)
	before := len(s.sim.Ledger())
	tooMuch := refundOf(sold)
	tooMuch.Items[0].Quantity, tooMuch.Payments.Cash = 9000, 45_00
	q, _ := s.prepare(tooMuch, sold)
	if o := s.reg.Send(t.Context(), q); o.Verdict != register.Refused || o.Cause != register.BadData && o.Cause != register.NoParent || o.Code == "" {
		t.Errorf("more taken back than was sold: %+v", o)
	}
	s.sim.Arm(simulator.Fault{Name: simulator.Refuse, Route: m.Routes[receipt.Sale], Code: m.Bad, Times: 1})
	q, _ = s.prepare(sale(), nil)
	if o := s.reg.Send(t.Context(), q); o.Verdict != register.Refused || o.Cause != register.BadData || o.Code != decimal(int64(m.Bad)) {
		t.Errorf("refused with %d: %+v", m.Bad, o)
	}
	if n := len(s.sim.Ledger()); n != before {
		t.Errorf("%d documents were made", n-before)
	}
}

func closedShift(t *testing.T, m Maker) {
	s := m.start(t)
	q, b := s.prepare(sale(), nil)
	if b.Shift.Open {
		t.Errorf("baseline %+v", b)
	}
	if o := s.reg.Send(t.Context(), q); o.Verdict != register.Refused || o.Cause != register.ShiftClosed {
		t.Errorf("a sale in a closed shift: %+v", o)
	}
	if _, err := s.reg.XReport(t.Context(), ""); causeOf(err) != register.ShiftClosed {
		t.Errorf("an X report of none: %v", err)
	}
	if n := len(s.sim.Ledger()); n != 0 {
		t.Errorf("%d documents were made", n)
	}
}

func expiredShift(t *testing.T, m Maker) {
	s := m.open(t)
	q, _ := s.prepare(sale(), nil)
	s.sim.Arm(simulator.Fault{Name: simulator.ShiftExpired, Route: m.Routes[receipt.Sale], Times: 1})
	// A code that is not certain to mean it may be asked about first.
	if o := s.reg.Send(t.Context(), q); o.Cause != register.ShiftExpired || o.Verdict != register.Refused && o.Verdict != register.Unknown {
		t.Errorf("a sale in a shift over 24 hours: %+v", o)
	}
	if n := len(s.sim.Ledger()); n != 0 {
		t.Errorf("%d documents were made", n)
	}
}

// lostAnswers cuts the answer at each place, for each kind, and asks afterwards.
// What Lookup and Baseline say must be the truth, as the class promises it.
func lostAnswers(t *testing.T, m Maker) {
	faults := []string{
		simulator.DropBefore, simulator.DropAfter, simulator.Half, simulator.HTTP500, simulator.HTTP500Empty, simulator.Garbage,
	}
	s := m.open(t)
	s.make(cash(receipt.Deposit, 500_00), nil)
	for kind, route := range m.Routes {
		for _, fault := range faults {
			var r receipt.Receipt
			var parent *receipt.Stored
			switch kind {
			case receipt.Sale:
				r = sale()
			case receipt.Refund:
				parent = s.make(cashSale(), nil)
				r = refundOf(parent)
			case receipt.Cancel:
				parent = s.make(cashSale(), nil)
				r = cancelOf(parent)
			case receipt.Prepayment:
				r = prepayment()
			case receipt.CreditPayment:
				parent = s.make(creditSale(), nil)
				r = creditPayment(parent)
			case receipt.Correction:
				r = correction()
			default:
				r = cash(kind, 1_00)
			}
			q, then := s.prepare(r, parent)
			before := s.sim.Ledger()
			s.sim.Arm(simulator.Fault{Name: fault, Route: route, Times: 1})
			o := s.reg.Send(t.Context(), q)
			done := len(s.sim.Ledger()) - len(before)
			if want := map[bool]int{true: 0, false: 1}[fault == simulator.DropBefore]; done != want {
				t.Fatalf("%s, %s: the simulator made %d documents, want %d: %+v", kind, fault, done, want, o)
			}
			what := string(kind) + ", " + fault
			if fault == simulator.HTTP500 { // a whole answer counts at any status
				if o.Verdict != register.Made {
					t.Errorf("%s: %+v", what, o)
				}
				continue
			}
			if o.Verdict != register.Unknown {
				t.Errorf("%s: %+v", what, o)
			}
			s.asked(what, q, then, done == 1)
		}
	}
}

// asked holds what the register says afterwards against the truth.
func (s *shop) asked(what string, q register.Request, then register.Baseline, isMade bool) {
	s.Helper()
	kind := kindOf(s.maker, q.Route)
	e := s.reg.Lookup(s.Context(), q)
	now, err := s.reg.Baseline(s.Context(), kind)
	if err != nil {
		s.Errorf("%s: baseline: %v", what, err)
		return
	}
	ledger := s.sim.Ledger()
	switch e.Found {
	case register.DocumentMade:
		if !isMade || e.Document == nil || e.Document.FiscalID != "" && e.Document.FiscalID != ledger[len(ledger)-1].FiscalID {
			s.Errorf("%s: found %+v, the truth is %v", what, e, isMade)
		}
		return
	case register.NotFound:
		if isMade && s.maker.class(kind) != register.Neither {
			s.Errorf("%s: not found, and it is there: %+v", what, e)
		}
	}
	if s.maker.class(kind) != register.Neither { // its promise must be kept
		if want := map[bool]register.Finding{true: register.DocumentMade, false: register.NotFound}[isMade]; e.Found != want {
			s.Errorf("%s: %+v, want %s", what, e, want)
		}
		return
	}
	if !then.Counted || !now.Counted {
		s.Errorf("%s: nothing to compare: %+v, %+v", what, then, now)
	}
	if stood := now.Count == then.Count && now.Last == then.Last; stood == isMade {
		s.Errorf("%s: counters from %+v %q to %+v %q, the truth is %v", what, then.Count, then.Last, now.Count, now.Last, isMade)
	}
}

func kindOf(m Maker, route string) receipt.Kind {
	for kind, r := range m.Routes {
		if r == "/"+route {
			return kind
		}
	}
	return ""
}

// guardHolds sends the same request twice, as no engine does: where the page
// promises a guard there is one document. What guards nothing is left out.
func guardHolds(t *testing.T, m Maker) {
	s := m.open(t)
	sold := s.make(cashSale(), nil)
	for _, r := range []receipt.Receipt{sale(), refundOf(sold), correction()} {
		if m.class(r.Kind) == register.Neither {
			continue
		}
		before := len(s.sim.Ledger())
		q, _ := s.prepare(r, sold)
		first, second := s.reg.Send(t.Context(), q), s.reg.Send(t.Context(), q)
		if first.Verdict != register.Made || second.Verdict == register.Refused || second.Verdict == register.NotSent || len(s.sim.Ledger()) != before+1 {
			t.Errorf("%s twice: %+v, %+v, %d documents", r.Kind, first, second, len(s.sim.Ledger())-before)
		}
		if second.Verdict == register.Made && second.Document.FiscalID != first.Document.FiscalID {
			t.Errorf("%s: %s, and then %s", r.Kind, first.Document.FiscalID, second.Document.FiscalID)
		}
		// A further attempt of the same receipt, on a number that has its document
		// under it: what came late must be found before anything is sent.
		again, _ := s.prepareAs(q.Key, r, sold, true)
		if third := s.reg.Send(t.Context(), again); third.Verdict != register.Made || third.Document.FiscalID != first.Document.FiscalID || len(s.sim.Ledger()) != before+1 {
			t.Errorf("%s as a further attempt: %+v, %d documents", r.Kind, third, len(s.sim.Ledger())-before)
		}
	}
}

func busy(t *testing.T, m Maker) {
	s := m.open(t)
	q, then := s.prepare(sale(), nil)
	s.sim.Arm(simulator.Fault{Name: simulator.BusyFault, Route: m.Routes[receipt.Sale], Times: 1})
	if o := s.reg.Send(t.Context(), q); o.Verdict == register.Made || o.Verdict == register.NotSent ||
		o.Cause != register.Busy && o.Verdict != register.Unknown {
		t.Errorf("a busy register: %+v", o)
	}
	s.asked("busy", q, then, false)
}

func paperOut(t *testing.T, m Maker) {
	s := m.open(t)
	q, then := s.prepare(sale(), nil)
	s.sim.Arm(simulator.Fault{Name: simulator.PaperOut})
	o := s.reg.Send(t.Context(), q)
	doc := o.Document
	switch {
	case o.Verdict == register.Made && !doc.Printed:
	case o.Verdict == register.Unknown && o.Cause == register.Paper:
		e := s.reg.Lookup(t.Context(), q)
		if doc = e.Document; e.Found != register.DocumentMade || doc.Printed {
			t.Fatalf("asked without paper: %+v", e)
		}
	default:
		t.Fatalf("a sale without paper: %+v, baseline %+v", o, then)
	}
	if ledger := s.sim.Ledger(); len(ledger) != 1 || ledger[0].FiscalID != doc.FiscalID || ledger[0].Printed {
		t.Fatalf("ledger %+v, document %+v", ledger, doc)
	}
	if o := s.reg.Reprint(t.Context(), *doc); o.Verdict == register.Made || o.Cause != register.Paper {
		t.Errorf("printed without paper: %+v", o)
	}
	s.sim.LoadPaper()
	if o := s.reg.Reprint(t.Context(), *doc); o.Verdict != register.Made || !o.Document.Printed || o.Document.FiscalID != doc.FiscalID {
		t.Errorf("reprint: %+v", o)
	}
	if ledger := s.sim.Ledger(); len(ledger) != 1 || !ledger[0].Printed {
		t.Errorf("ledger %+v", ledger)
	}
	s.make(cashSale(), nil) // and it goes on
	if m.NoCopies {
		return
	}
	doc.Printed = true
	if o := s.reg.Reprint(t.Context(), *doc); o.Verdict != register.Made || o.Document.FiscalID != doc.FiscalID {
		t.Errorf("a copy: %+v", o)
	}
}

func reboot(t *testing.T, m Maker) {
	for _, c := range []struct {
		fault string
		made  bool
	}{{simulator.Reboot, false}, {simulator.RebootAfter, true}} {
		s := m.open(t)
		q, then := s.prepare(sale(), nil)
		s.sim.Arm(simulator.Fault{Name: c.fault, Route: m.Routes[receipt.Sale], Times: 1, MS: 40})
		if o := s.reg.Send(t.Context(), q); o.Verdict != register.Unknown {
			t.Errorf("%s: %+v", c.fault, o)
		}
		s.reach()
		s.asked(c.fault, q, then, c.made)
	}
}

func anotherSerial(t *testing.T, m Maker) {
	s := m.open(t)
	was := s.sim.Serial()
	if err := s.sim.SetSerial("SIM-OTHER-2"); err != nil {
		t.Fatal(err)
	}
	b, err := s.reg.Baseline(t.Context(), receipt.Sale)
	if err != nil || b.Serial != "SIM-OTHER-2" || b.Serial == was {
		t.Errorf("baseline %+v, %v", b, err)
	}
	if i, err := s.dial(false).Identify(t.Context()); err != nil || i.Serial != "SIM-OTHER-2" {
		t.Errorf("identity %+v, %v", i, err)
	}
}

func wrongCredentials(t *testing.T, m Maker) {
	s := m.open(t)
	wrong := s.dial(true)
	for range 5 { // a register that locks must not be locked by us
		if _, err := wrong.Identify(t.Context()); causeOf(err) != register.Credentials {
			t.Errorf("identify: %v", err)
		}
	}
	q, _ := s.prepare(sale(), nil)
	if o := wrong.Send(t.Context(), q); o.Verdict != register.NotSent && o.Verdict != register.Refused || o.Cause != register.Credentials {
		t.Errorf("send: %+v", o)
	}
	if n := len(s.sim.Ledger()); n != 0 {
		t.Errorf("%d documents were made", n)
	}
	if _, err := s.dial(false).Identify(t.Context()); err != nil {
		t.Errorf("the right ones afterwards: %v", err)
	}
}

func nobodyThere(t *testing.T, m Maker) {
	s := m.open(t)
	q, _ := s.prepare(sale(), nil)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if o := s.reg.Send(over, q); o.Verdict != register.NotSent {
		t.Errorf("over before it began: %+v", o)
	}
	if err := s.sim.Close(); err != nil {
		t.Fatal(err)
	}
	if o := s.reg.Send(t.Context(), q); o.Verdict != register.NotSent || o.Cause != register.Unreachable {
		t.Errorf("nobody listens: %+v", o)
	}
	if _, err := s.reg.Shift(t.Context()); causeOf(err) != register.Unreachable {
		t.Errorf("a question to nobody: %v", err)
	}
	if e := s.reg.Lookup(t.Context(), q); e.Found != register.CannotTell || causeOf(e.Err) != register.Unreachable {
		t.Errorf("asked of nobody: %+v", e)
	}
}
