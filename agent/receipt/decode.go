package receipt

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// MaxItems is the most lines that the national token takes (caspos.md 7).
const MaxItems = 201

// Limits of text, in characters. A register's own limits may be lower; its
// driver then cuts what is printed, never what is stored.
const (
	maxName = 512
	maxText = 256
)

// idPattern is contract.md 3's.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// ValidID says whether s may be a till's id for a receipt.
func ValidID(s string) bool { return idPattern.MatchString(s) }

// Defaults are what the settings say where the till says nothing.
type Defaults struct {
	Fiscal bool
	Tax    Tax
}

// Fingerprint tells whether two bodies mean the same, whatever their bytes.
// Two do when either half is equal: what was said (a setting that changed in
// between does not turn a repeat into another receipt) or what it came to mean
// with the defaults (a default that is now spelled out does not either).
type Fingerprint struct {
	Said, Meant [sha256.Size]byte
}

// Same says whether two bodies mean the same.
func (f Fingerprint) Same(o Fingerprint) bool { return f.Said == o.Said || f.Meant == o.Meant }

// Decode reads a till's receipt and fills in the defaults. It gives either a
// receipt that keeps all the rules that need no journal, or every fault.
func Decode(data []byte, d Defaults) (Receipt, Fingerprint, error) {
	var faults Faults
	in, err := open(data, &faults)
	if err != nil {
		return Receipt{}, Fingerprint{}, err
	}
	r := Receipt{
		ID:       in.id("id"),
		Kind:     oneOf(in, "kind", true, Sale, Refund, Cancel, Prepayment, CreditPayment, Correction),
		Time:     in.time("time", true),
		Cashier:  in.text("cashier", maxText),
		Number:   in.text("number", maxText),
		Contract: in.text("contract", maxText),
		Note:     in.text("note", maxText),
		Parent:   in.parent(),
		Period:   in.period(),
	}
	fiscal, given := in.flag("fiscal")
	r.Fiscal = fiscal || !given && d.Fiscal
	items, defaulted := in.items(r.Kind, d.Tax)
	r.Items = items
	payments, paid := in.payments()
	r.Payments = payments
	in.close()
	in.rules(r, paid)
	if len(faults) > 0 {
		return Receipt{}, Fingerprint{}, faults
	}

	said := r
	said.Items = append([]Item(nil), r.Items...)
	for _, n := range defaulted {
		said.Items[n].Tax = Tax{}
	}
	return r, fingerprint(said, given, r), nil
}

// DecodeCash reads a till's order to put cash into the drawer or take some out.
func DecodeCash(data []byte, kind Kind, now time.Time) (Receipt, Fingerprint, error) {
	var faults Faults
	in, err := open(data, &faults)
	if err != nil {
		return Receipt{}, Fingerprint{}, err
	}
	r := Receipt{
		ID: in.id("id"), Kind: kind, Fiscal: true,
		Time: in.time("time", false), Cashier: in.text("cashier", maxText), Note: in.text("note", maxText),
	}
	amount, ok := in.money("amount", true)
	if ok && amount == 0 {
		in.fault("amount", CodeNotPositive, "")
	}
	r.Amount = amount
	in.close()
	if len(faults) > 0 {
		return Receipt{}, Fingerprint{}, faults
	}
	said := r
	if r.Time.IsZero() {
		r.Time = now
	}
	return r, fingerprint(said, true, r), nil
}

func open(data []byte, faults *Faults) (*reader, error) {
	v, err := parse(data)
	if err == nil && v.object == nil {
		err = fmt.Errorf("no object")
	}
	if err != nil {
		return nil, Faults{{Code: CodeNotJSON, Detail: clip(err.Error())}}
	}
	return &reader{v: v, faults: faults, known: map[string]bool{}}, nil
}

func fingerprint(said Receipt, fiscalSaid bool, meant Receipt) Fingerprint {
	sum := func(r Receipt, fiscalSaid bool) [sha256.Size]byte {
		r.Time = r.Time.UTC()
		if r.Period != nil {
			r.Period = &Period{From: r.Period.From.UTC(), To: r.Period.To.UTC()}
		}
		b, err := json.Marshal(struct {
			Receipt
			FiscalSaid bool
		}{r, fiscalSaid})
		if err != nil { // only plain fields: cannot fail
			panic(err)
		}
		return sha256.Sum256(b)
	}
	if !fiscalSaid {
		said.Fiscal = false
	}
	return Fingerprint{Said: sum(said, fiscalSaid), Meant: sum(meant, true)}
}

func (r *reader) id(field string) string {
	s := r.need(field, 1000)
	if s != "" && !ValidID(s) {
		r.fault(field, CodePattern, "A-Z a-z 0-9 . _ : - , 1…64")
		return ""
	}
	return s
}

func (r *reader) parent() *Parent {
	in := r.object("parent")
	if in == nil {
		return nil
	}
	before := len(*r.faults)
	p := &Parent{ID: in.text("id", 64), FiscalID: in.text("fiscal_id", 64), Number: in.text("number", 64)}
	unread := len(*r.faults) > before
	in.close()
	if !unread && (p.ID == "") == (p.FiscalID == "") {
		r.fault("parent", CodeEitherOr, "id, fiscal_id")
	}
	return p
}

func (r *reader) period() *Period {
	in := r.object("period")
	if in == nil {
		return nil
	}
	p := &Period{From: in.time("from", true), To: in.time("to", true)}
	in.close()
	if !p.From.IsZero() && !p.To.IsZero() && p.To.Before(p.From) {
		r.fault("period.to", CodePeriodOrder, "")
	}
	return p
}

// items reads the lines, and says which of them took the default tax.
func (r *reader) items(kind Kind, d Tax) (items []Item, defaulted []int) {
	v := r.get("items")
	switch {
	case v == nil:
		if kind != Cancel && kind != "" {
			r.fault("items", CodeRequired, "")
		}
		return nil, nil
	case v.array == nil:
		r.fault("items", CodeType, "array")
		return nil, nil
	case len(v.array) == 0 && kind != Cancel:
		r.fault("items", CodeNoItems, "")
	case len(v.array) > MaxItems:
		r.fault("items", CodeTooMany, fmt.Sprint(MaxItems))
		return nil, nil
	}
	for n, e := range v.array {
		path := fmt.Sprintf("items[%d]", n)
		if e.object == nil {
			r.fault(path, CodeType, "object")
			continue
		}
		in := &reader{path: path, v: e, faults: r.faults, known: map[string]bool{}}
		item, byDefault := in.item(d)
		in.close()
		if byDefault {
			defaulted = append(defaulted, len(items))
		}
		items = append(items, item)
	}
	return items, defaulted
}

func (r *reader) item(d Tax) (Item, bool) {
	i := Item{
		Name: r.need("name", maxName),
		Code: r.text("code", maxText),
		Unit: oneOf(r, "unit", false, Piece, Kilogram, Litre, Metre, SquareMetre, CubicMetre),
	}
	if i.Unit == "" {
		i.Unit = Piece
	}
	quantity, ok1 := r.number("quantity", true, 3, int64(MaxQuantity))
	i.Quantity = Quantity(quantity)
	if ok1 && quantity == 0 {
		r.fault("quantity", CodeNotPositive, "")
	}
	price, ok2 := r.money("price", true)
	discount, ok3 := r.money("discount", false)
	i.Price, i.Discount = price, discount
	if ok1 && ok2 && ok3 {
		switch gross := Gross(price, i.Quantity); {
		case gross > MaxMoney:
			r.fault("price", CodeTooLarge, "")
		case discount > gross:
			r.fault("discount", CodeDiscount, gross.String())
		}
	}
	i.Tax.Type = oneOf(r, "tax", false, VAT18, VAT0, Exempt, Margin18, Simplified2, Simplified8)
	defaulted := r.get("tax") == nil
	if defaulted {
		i.Tax = d
	}
	i.PurchasePrice, _ = r.money("purchase_price", i.Tax.Type == Margin18)
	return i, defaulted
}

// payments reads how it was paid; paid is false where that could not be read.
func (r *reader) payments() (p Payments, paid bool) {
	in := r.object("payments")
	if in == nil {
		return p, r.get("payments") == nil
	}
	paid = true
	for _, f := range []struct {
		name string
		to   *Money
	}{{"cash", &p.Cash}, {"card", &p.Card}, {"bonus", &p.Bonus}, {"prepaid", &p.Prepaid}, {"credit", &p.Credit}} {
		m, ok := in.money(f.name, false)
		*f.to, paid = m, paid && ok
	}
	in.close()
	return p, paid
}

// rules are those that look at more than one field. Sums are only judged where
// everything in them could be read.
func (r *reader) rules(x Receipt, paid bool) {
	needsParent := x.Kind == Refund || x.Kind == Cancel || x.Kind == CreditPayment || x.Kind == Sale && x.Payments.Prepaid > 0
	if needsParent && r.get("parent") == nil {
		r.fault("parent", CodeRequired, "")
	}
	unsure := x.Kind == "" || x.Kind == Sale && !paid // what could not be read might have wanted one
	if !needsParent && x.Parent != nil && !unsure {
		r.fault("parent", CodeMisplaced, string(x.Kind))
	}
	if x.Kind == Correction && r.get("period") == nil {
		r.fault("period", CodeRequired, "")
	}
	if x.Kind != Correction && x.Period != nil && x.Kind != "" {
		r.fault("period", CodeMisplaced, string(x.Kind))
	}
	if r.get("payments") == nil && x.Kind != Cancel && x.Kind != "" {
		r.fault("payments", CodeRequired, "")
		return
	}
	if !paid || len(*r.faults) > 0 {
		return
	}
	r.sums(x)
}

// sums holds that a receipt is paid in full, and that only cash gives change.
func (r *reader) sums(x Receipt) {
	if x.Kind == Cancel && len(x.Items) == 0 {
		if x.Payments != (Payments{}) {
			r.fault("payments", CodeMisplaced, string(x.Kind))
		}
		return
	}
	total, p := x.Total(), x.Payments
	if total > MaxMoney {
		r.fault("items", CodeTooLarge, "")
		return
	}
	for _, f := range []struct {
		name   string
		amount Money
		kinds  []Kind
	}{
		{"payments.prepaid", p.Prepaid, []Kind{Sale, Refund, Cancel}},
		{"payments.credit", p.Credit, []Kind{Sale, Refund, Cancel}},
	} {
		if f.amount > 0 && !slices.Contains(f.kinds, x.Kind) {
			r.fault(f.name, CodeMisplaced, string(x.Kind))
			return
		}
	}
	switch change := p.Change(total); {
	case p.cashless() > total:
		r.fault("payments", CodeOverpaid, (p.cashless() - total).String())
	case change < 0:
		r.fault("payments", CodeUnderpaid, (-change).String())
	case change > 0 && (x.Kind == Refund || x.Kind == Cancel || x.Kind == Correction):
		r.fault("payments", CodeUnequal, total.String())
	}
}
