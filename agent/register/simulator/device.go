package simulator

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// device is the register as a thing on the table: the ledger of its token, the
// armed faults, the paper, the clock. Every method needs mu held unless it says
// that it takes it.
type device struct {
	mu       sync.Mutex
	book     *book
	faults   faults
	quirks   quirks
	owner    Taxpayer
	clock    func() time.Time
	offset   time.Duration // of the register's clock
	waiting  []waiting
	prints   time.Time // a long report, until then
	paper    string    // the last thing printed
	requests map[string]int
}

// waiting is a document that was accepted and is not made yet.
type waiting struct {
	due time.Time
	doc *Document // its ID is already given out
}

func (d *device) now() time.Time {
	return d.clock().Add(d.offset).In(baku).Truncate(time.Millisecond)
}

// visit is one request's view of the device, with what goes wrong during it.
type visit struct {
	*device
	route string
	plan  plan
	tok   *token
	made  bool   // a document was made, or paper moved: it takes the time of a print
	zKey  string // the client's key for a Z report
}

// visit starts a request. The token is the one that stands here, or another one
// under the fault "serial".
func (d *device) visit(route string, p plan) *visit {
	d.settle()
	serial := d.book.current
	if p.serial != "" {
		serial = p.serial
	}
	return &visit{device: d, route: route, plan: p, tok: d.book.token(serial)}
}

// settle makes the accepted documents whose time has come. One that is refused by
// now (the shift was closed meanwhile) is dropped, as if it had never been.
func (d *device) settle() {
	now := d.clock()
	d.waiting = slices.DeleteFunc(d.waiting, func(w waiting) bool {
		if w.due.After(now) {
			return false
		}
		v := &visit{device: d, tok: d.book.token(w.doc.Serial)}
		if v.tok.check(w.doc, d.now(), false, d.quirks) == nil {
			_ = v.make(w.doc)
		}
		return true
	})
}

// processing returns the accepted document for which match says yes.
func (v *visit) processing(match func(*Document) bool) *Document {
	for _, w := range v.waiting {
		if w.doc.Serial == v.tok.serial && match(w.doc) {
			return w.doc
		}
	}
	return nil
}

func (v *visit) idle() error {
	if len(v.waiting) > 0 {
		return refuse(Busy, "another document is still being processed")
	}
	if v.prints.After(v.clock()) {
		return refuse(Busy, "a report is still being printed")
	}
	return nil
}

// submit makes a document, or accepts it for later: then done is false and only
// its ID is known. After an error nothing was made.
func (v *visit) submit(d *Document) (done bool, err error) {
	if err := v.idle(); err != nil {
		return false, err
	}
	if err := v.tok.check(d, v.now(), v.plan.expired, v.quirks); err != nil {
		return false, err
	}
	d.Serial, d.ID = v.tok.serial, v.tok.lastID+1
	if v.plan.pending {
		v.waiting = append(v.waiting, waiting{due: v.clock().Add(v.plan.later), doc: d})
		return false, nil
	}
	return true, v.make(d)
}

// make writes a checked document into the ledger and then prints it.
func (v *visit) make(d *Document) error {
	t := v.tok
	d.Number, d.At = t.lastNumber+1, v.now()
	d.FiscalID = fiscalID(v.book.salt, t.serial, d.Number)
	d.ShortID = shortID(d.FiscalID)
	d.Shift, d.InShift = t.shift, t.inShift(t.shift)+1
	switch {
	case d.VAT != nil, d.Kind == Correction, d.Kind == Rollback: // they bring their own
	case d.Kind == CreditPay: // the repaid share of the sale
		sale := t.byFiscal[d.Parent]
		d.VAT = vatOf(sale.Items, sale.Amount-d.Amount)
	default:
		d.VAT = vatOf(d.Items, d.Payments.Prepaid+d.Payments.Credit)
	}
	d.Printed = !v.faults.paperFails(v.route)
	if err := v.book.append(record{Type: recordDocument, At: d.At, Serial: t.serial, Document: d}); err != nil {
		return err
	}
	v.made = true
	if d.Printed {
		v.device.paper = cheque(v.owner, t, d, false)
	}
	return nil
}

// reprint prints a document again, marked as a copy unless it never came out. It
// says whether paper came out.
func (v *visit) reprint(d *Document) (printed bool, err error) {
	if v.faults.paperFails(v.route) {
		return false, nil
	}
	v.made = true
	v.device.paper = cheque(v.owner, v.tok, d, d.Printed)
	if !d.Printed {
		return true, v.book.append(record{Type: recordPrinted, At: v.now(), Serial: v.tok.serial, ID: d.ID})
	}
	return true, nil
}

// print prints something that is no document. It says whether paper came out.
func (v *visit) print(text string) bool {
	if v.faults.paperFails(v.route) {
		return false
	}
	v.made = true
	v.device.paper = text
	return true
}

// byKey finds the document made under an idempotency key.
func (v *visit) byKey(key string) *Document {
	d := v.tok.byKey[key]
	if d != nil && v.quirks.has(quirkKeyUntilZ) && (!v.tok.open || d.Shift != v.tok.shift) {
		return nil
	}
	return d
}

func (v *visit) openShift(by string) error {
	if err := v.idle(); err != nil {
		return err
	}
	if v.tok.open {
		return refuse(ShiftOpen, "shift %d is already open", v.tok.shift)
	}
	return v.book.append(record{Type: recordShiftOpened, At: v.now(), Serial: v.tok.serial, Shift: v.tok.shift + 1, By: by})
}

// closeShift makes the Z report. Open orders block it, unless they are kept for
// the next shift.
func (v *visit) closeShift(keepOrders bool) (z ClosedShift, r Report, printed bool, err error) {
	t := v.tok
	if err = v.idle(); err != nil {
		return
	}
	if !t.open {
		err = refuse(ShiftClosed, "no shift is open")
		return
	}
	switch {
	case len(t.orders) > 0 && !keepOrders:
		err = refuse(OrdersOpen, "%d orders are not closed", len(t.orders))
	case v.quirks.has(quirkZNeedsSales) && t.inShift(t.shift) == 0:
		err = refuse(ShiftEmpty, "shift %d has no transactions", t.shift)
	case v.quirks.has(quirkZNeedsEmptyDrawer) && t.drawer > 0:
		err = refuse(DrawerNotEmpty, "%d are left in the drawer: withdraw them first", t.drawer)
	}
	if err != nil {
		return
	}
	now := v.now()
	z = ClosedShift{Shift: t.shift, OpenedAt: t.openedAt, ClosedAt: now, Number: t.lastNumber + 1, ID: t.lastID + 1, Drawer: t.drawer, Key: v.zKey}
	z.FiscalID = fiscalID(v.book.salt, t.serial, z.Number)
	if err = v.book.append(record{Type: recordShiftClosed, At: now, Serial: t.serial, Closed: &z}); err != nil {
		return
	}
	if r, err = t.report(z.Shift); err != nil {
		return
	}
	return z, r, v.print(reportSheet(v.owner, "Z-HESABAT", t.serial, r, now)), nil
}

func (v *visit) order(number string, amount int64) (Order, error) {
	if err := v.idle(); err != nil {
		return Order{}, err
	}
	o := Order{ID: v.tok.lastID + 1, At: v.now(), Number: number, Amount: amount}
	return o, v.book.append(record{Type: recordOrder, At: o.At, Serial: v.tok.serial, Order: &o})
}

func (v *visit) dropOrders() error {
	if len(v.tok.orders) == 0 {
		return nil
	}
	return v.book.append(record{Type: recordOrdersGone, At: v.now(), Serial: v.tok.serial})
}

// State is what the device looks like from outside.
type State struct {
	Protocol   string         `json:"protocol"`
	Edition    string         `json:"edition"`
	Quirks     []string       `json:"quirks"`
	Serial     string         `json:"serial"`
	Shift      ShiftState     `json:"shift"`
	Documents  int            `json:"documents"`   // of this device
	LastNumber int64          `json:"last_number"` // document number, Z reports counted
	LastID     int64          `json:"last_id"`
	Drawer     int64          `json:"drawer"` // qəpik
	Orders     []Order        `json:"orders"`
	Processing int            `json:"processing"` // accepted, not made yet
	Faults     []Fault        `json:"faults"`     // armed, with what is left of them
	Paper      string         `json:"paper"`      // "in" or "out"
	Clock      time.Time      `json:"clock"`      // the register's
	Offset     string         `json:"offset"`
	StateFile  string         `json:"state_file"`
	Requests   map[string]int `json:"requests"` // protocol requests that arrived, by route, since the start
}

// ShiftState is the shift of the device.
type ShiftState struct {
	Open     bool       `json:"open"`
	Number   int64      `json:"number"`
	OpenedAt *time.Time `json:"opened_at"`
	By       string     `json:"by,omitempty"`
}

// state takes mu.
func (d *device) state(protocol, edition string) State {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settle()
	t := d.book.token(d.book.current)
	s := State{Protocol: protocol, Edition: edition, Quirks: d.quirks.names(), Serial: t.serial,
		Shift:     ShiftState{Open: t.open, Number: t.shift, By: t.openedBy},
		Documents: len(t.docs), LastNumber: t.lastNumber, LastID: t.lastID, Drawer: t.drawer,
		Orders: append([]Order{}, t.orders...), Processing: len(d.waiting),
		Faults: append([]Fault{}, d.faults.armed...), Paper: "out",
		Clock: d.now(), Offset: d.offset.String(), StateFile: d.book.path, Requests: maps.Clone(d.requests)}
	if t.open {
		s.Shift.OpenedAt = &t.openedAt
	}
	if d.faults.paperIn() {
		s.Paper = "in"
	}
	return s
}

// ledger takes mu. Shift 0 means all.
func (d *device) ledger(shift int64) []Document {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settle()
	out := []Document{}
	for _, doc := range d.book.all {
		if shift == 0 || doc.Shift == shift {
			out = append(out, *doc)
		}
	}
	return out
}

// cheque takes mu and finds a document of any device by its long or short id,
// with its cheque.
func (d *device) cheque(id string) (text string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settle()
	for _, doc := range d.book.all {
		if doc.FiscalID == id || doc.ShortID == id {
			return cheque(d.owner, d.book.token(doc.Serial), doc, false), true
		}
	}
	return "", false
}

// byHand does something on the device itself, beside the protocol. It takes mu.
func (d *device) byHand(do func(*visit) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return do(d.visit("", plan{}))
}

// ringUp is a sale typed in on the device: no client, no key.
func (v *visit) ringUp(amount int64, name string) (Document, error) {
	if amount <= 0 {
		return Document{}, fmt.Errorf("ring up a sale: the amount is %d: give qəpik above 0", amount)
	}
	if name == "" {
		name = "Əl ilə satış"
	}
	d := &Document{Kind: Sale, ByHand: true, Amount: amount, Payments: Payments{Cash: amount},
		Items: []Item{{ID: "0", Name: name, Quantity: 1000, Amount: amount, TaxName: "ƏDV 18%", TaxRate: 1800}}}
	if _, err := v.submit(d); err != nil {
		return Document{}, fmt.Errorf("ring up a sale: %w", err)
	}
	return *d, nil
}

// swap puts another device here; one that was here before comes back with its
// own ledger.
func (d *device) swap(serial string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settle()
	d.waiting = nil
	if serial == d.book.current {
		return nil
	}
	return d.book.append(record{Type: recordSerial, At: d.now(), Serial: serial})
}
