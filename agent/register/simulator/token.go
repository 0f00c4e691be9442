package simulator

import (
	"fmt"
	"time"
)

// wallTime is how the makers write times for people, on a 24-hour clock.
const wallTime = "2006-01-02 15:04:05"

// baku is the register's zone: Azerbaijan has kept UTC+4 without summer time
// since 2016, so no zone file is needed.
var baku = time.FixedZone("Asia/Baku", 4*60*60)

// token is the state of one fiscal token. It is nothing but the sum of the
// ledger's records: apply is the only thing that changes it.
type token struct {
	serial     string
	shift      int64 // of the open shift, or the last one
	open       bool
	openedAt   time.Time
	openedBy   string
	lastNumber int64 // of documents, Z reports among them
	lastID     int64
	drawer     int64 // cash, qəpik
	docs       []*Document
	byFiscal   map[string]*Document
	byID       map[int64]*Document
	byKey      map[string]*Document
	undoneBy   map[string]*Document // fiscal id → its rollback
	orders     []Order              // sent to the device, not closed
	closed     []ClosedShift
}

// Order is a bill sent to the register without being fiscalised (/order). It
// blocks the Z report until it is dealt with.
type Order struct {
	ID     int64     `json:"id"`
	At     time.Time `json:"at"`
	Number string    `json:"number"`
	Amount int64     `json:"amount"`
}

// ClosedShift is a shift that has its Z report.
type ClosedShift struct {
	Shift    int64     `json:"shift"`
	OpenedAt time.Time `json:"opened_at"`
	ClosedAt time.Time `json:"closed_at"`
	Number   int64     `json:"number"`        // the Z report is itself a numbered document
	ID       int64     `json:"id"`            //
	FiscalID string    `json:"fiscal_id"`     //
	Drawer   int64     `json:"drawer"`        // cash left in the drawer
	Key      string    `json:"key,omitempty"` // the client's for the Z report (Caspos documentUUID)
}

// idBase keeps the device application's ids apart from document numbers, so that
// a client that mixes them up is found out.
const idBase = 1000

func newToken(serial string) *token {
	return &token{
		serial:   serial,
		lastID:   idBase,
		byFiscal: map[string]*Document{},
		byID:     map[int64]*Document{},
		byKey:    map[string]*Document{},
		undoneBy: map[string]*Document{},
	}
}

func (t *token) undone(d *Document) bool { return t.undoneBy[d.FiscalID] != nil }

// inShift counts the documents of a shift.
func (t *token) inShift(shift int64) int64 {
	var n int64
	for i := len(t.docs) - 1; i >= 0 && t.docs[i].Shift >= shift; i-- {
		if t.docs[i].Shift == shift {
			n++
		}
	}
	return n
}

// cashMoved is what a document does to the drawer.
func cashMoved(d *Document) int64 {
	switch d.Kind {
	case Deposit:
		return d.Amount
	case Withdraw:
		return -d.Amount
	case Refund, Rollback:
		return -d.Payments.Cash
	}
	return d.Payments.Cash
}

// apply takes a record into the state. An error means that the record cannot
// follow what is there: a damaged ledger.
func (t *token) apply(r record) error {
	switch r.Type {
	case recordShiftOpened:
		if t.open || r.Shift != t.shift+1 {
			return fmt.Errorf("shift %d opened, but shift %d was before it (open: %t)", r.Shift, t.shift, t.open)
		}
		t.shift, t.open, t.openedAt, t.openedBy = r.Shift, true, r.At, r.By
	case recordShiftClosed:
		z := r.Closed
		if z == nil || !t.open || z.Shift != t.shift || z.Number != t.lastNumber+1 || z.ID <= t.lastID {
			return fmt.Errorf("a Z report that does not follow shift %d and document %d", t.shift, t.lastNumber)
		}
		t.open, t.lastNumber, t.lastID = false, z.Number, z.ID
		t.closed = append(t.closed, *z)
	case recordDocument:
		return t.applyDocument(r.Document)
	case recordPrinted:
		d := t.byID[r.ID]
		if d == nil {
			return fmt.Errorf("printed document %d is not in the ledger", r.ID)
		}
		printed := *d // never change a document that someone may be reading
		printed.Printed = true
		t.replace(&printed)
	case recordOrder:
		if r.Order == nil || r.Order.ID <= t.lastID {
			return fmt.Errorf("an order that does not follow id %d", t.lastID)
		}
		t.lastID = r.Order.ID
		t.orders = append(t.orders, *r.Order)
	case recordOrdersGone:
		t.orders = nil
	default:
		return fmt.Errorf("unknown record type %q", r.Type)
	}
	return nil
}

func (t *token) applyDocument(d *Document) error {
	switch {
	case d == nil:
		return fmt.Errorf("a document record without a document")
	case d.Number != t.lastNumber+1:
		return fmt.Errorf("document %d follows document %d", d.Number, t.lastNumber)
	case !t.open || d.Shift != t.shift:
		return fmt.Errorf("document %d is of shift %d, but the open shift is %d (open: %t)", d.Number, d.Shift, t.shift, t.open)
	case d.FiscalID == "" || t.byFiscal[d.FiscalID] != nil:
		return fmt.Errorf("document %d: fiscal id %q is empty or used twice", d.Number, d.FiscalID)
	case t.byID[d.ID] != nil:
		return fmt.Errorf("document %d: id %d is used twice", d.Number, d.ID)
	}
	t.lastNumber, t.lastID = d.Number, max(t.lastID, d.ID)
	t.docs = append(t.docs, d)
	t.byFiscal[d.FiscalID], t.byID[d.ID] = d, d
	if d.Client.Key != "" {
		t.byKey[d.Client.Key] = d
	}
	if d.Kind == Rollback {
		t.undoneBy[d.Parent] = d
	}
	t.drawer += cashMoved(d)
	return nil
}

func (t *token) replace(d *Document) {
	for i := len(t.docs) - 1; i >= 0; i-- {
		if t.docs[i].ID == d.ID {
			t.docs[i] = d
			break
		}
	}
	t.byFiscal[d.FiscalID], t.byID[d.ID] = d, d
	if k := d.Client.Key; k != "" && t.byKey[k].ID == d.ID {
		t.byKey[k] = d
	}
	if d.Kind == Rollback {
		t.undoneBy[d.Parent] = d
	}
}

// find returns the newest document for which match says yes.
func (t *token) find(match func(*Document) bool) *Document {
	for i := len(t.docs) - 1; i >= 0; i-- {
		if match(t.docs[i]) {
			return t.docs[i]
		}
	}
	return nil
}
