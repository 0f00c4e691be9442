package till

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"ekassa/agent/crash"
	"ekassa/agent/receipt"
	"ekassa/cloud/wire"
)

// Listings are this long where the till does not say, and at most.
const (
	defaultLimit = 50
	maxLimit     = 200
)

func (a *api) postReceipt(w http.ResponseWriter, r *request) error {
	return a.accept(w, r, func(data []byte) (receipt.Receipt, receipt.Fingerprint, error) {
		return receipt.Decode(data, defaults(r.settings))
	})
}

func (a *api) postDeposit(w http.ResponseWriter, r *request) error {
	return a.acceptCash(w, r, receipt.Deposit)
}

func (a *api) postWithdrawal(w http.ResponseWriter, r *request) error {
	return a.acceptCash(w, r, receipt.Withdrawal)
}

func (a *api) acceptCash(w http.ResponseWriter, r *request, kind receipt.Kind) error {
	return a.accept(w, r, func(data []byte) (receipt.Receipt, receipt.Fingerprint, error) {
		x, f, err := receipt.DecodeCash(data, kind, crash.Now())
		x.ID, x.Cashier = receipt.CashPrefix+x.ID, r.by(x.Cashier)
		return x, f, err
	})
}

// accept stores what the till sent and answers as contract.md 3 has it: 201
// only for a new receipt that has its document by the end of the wait, 202 for
// every other new one (its state tells the rest), 200 for one that was here.
func (a *api) accept(w http.ResponseWriter, r *request, decode func([]byte) (receipt.Receipt, receipt.Fingerprint, error)) error {
	wait, err := waitFor(w, r)
	if err != nil {
		return err
	}
	data, err := body(w, r)
	if err != nil {
		return err
	}
	x, fingerprint, err := decode(data)
	if err != nil {
		return err
	}
	if err := a.moduleOn(r, x.ID); err != nil {
		return err
	}
	register, ok := a.Desk.Active(r.terminal)
	if !ok {
		register = "" // none yet: it is stored all the same, and waits
	}
	crash.Point(crash.Received)
	s, isNew, err := a.Journal.Accept(r.terminal, register, x, fingerprint)
	if err != nil {
		return err
	}
	crash.Point(crash.Committed)
	s = a.await(r, s, wait)
	status := http.StatusOK
	switch {
	case isNew && s.State == receipt.Fiscal:
		status = http.StatusCreated
	case isNew:
		status = http.StatusAccepted
	}
	w.Header().Set("Location", location(s))
	return reply(w, r, status, r.receipt(s))
}

// moduleOn refuses what is new while the module is off. A repeat goes on to the
// journal, which tells it from another receipt with the same id.
func (a *api) moduleOn(r *request, id string) error {
	if r.settings.Module.Enabled {
		return nil
	}
	_, err := a.Journal.Get(r.terminal, id)
	if errors.Is(err, receipt.ErrNotFound) {
		return &problem{code: problemModuleOff}
	}
	return err
}

func location(s receipt.Stored) string {
	if id, cash := strings.CutPrefix(s.ID, receipt.CashPrefix); cash {
		return "/v1/cash/" + id
	}
	return "/v1/receipts/" + s.ID
}

// defaults are what the settings say where the till says nothing.
func defaults(s wire.Settings) receipt.Defaults {
	return receipt.Defaults{Fiscal: s.Module.AutoSend, Tax: receipt.Tax{
		Type: receipt.TaxType(s.Tax.Type), Name: s.Tax.Name, Rate: receipt.Percent(s.Tax.Rate.Hundredths()),
	}}
}

// receiptKey and cashKey give the journal's id for the one in the path.
func receiptKey(r *request) (string, error) {
	id := r.PathValue("id")
	if !receipt.ValidID(id) {
		return "", receipt.ErrNotFound
	}
	return id, nil
}

func cashKey(r *request) (string, error) {
	id, err := receiptKey(r)
	return receipt.CashPrefix + id, err
}

func (a *api) getReceipt(w http.ResponseWriter, r *request) error { return a.get(w, r, receiptKey) }
func (a *api) getCash(w http.ResponseWriter, r *request) error    { return a.get(w, r, cashKey) }

func (a *api) get(w http.ResponseWriter, r *request, key func(*request) (string, error)) error {
	id, err := key(r)
	if err != nil {
		return err
	}
	s, err := a.Journal.Get(r.terminal, id)
	if err != nil {
		return err
	}
	return reply(w, r, http.StatusOK, r.receipt(s))
}

type listBody struct {
	Receipts []receiptBody `json:"receipts"`
	Next     string        `json:"next,omitempty"`
}

func (a *api) listReceipts(w http.ResponseWriter, r *request) error { return a.list(w, r, false) }
func (a *api) listCash(w http.ResponseWriter, r *request) error     { return a.list(w, r, true) }

// list answers with receipts, or with cash in and out.
func (a *api) list(w http.ResponseWriter, r *request, cash bool) error {
	filter, find, err := parseFilter(r.URL.RawQuery)
	if err != nil {
		return err
	}
	filter.Terminal, filter.Cash = r.terminal, cash
	found, next, err := a.search(filter, searchFor(find, r.zone))
	if err != nil {
		return err
	}
	b := listBody{Receipts: []receiptBody{}}
	if next > 0 {
		b.Next = strconv.FormatInt(next, 10)
	}
	for _, s := range found {
		b.Receipts = append(b.Receipts, r.receipt(s))
	}
	return reply(w, r, http.StatusOK, b)
}

// parseFilter reads a listing's parameters, and gives every fault.
func parseFilter(rawQuery string) (f receipt.Filter, find string, err error) {
	f.Limit = defaultLimit
	var faults receipt.Faults
	fault := func(field, code, detail string) {
		faults = append(faults, receipt.Fault{Field: field, Code: code, Detail: detail})
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		fault("query", receipt.CodePattern, "")
	}
	for name, values := range query {
		if len(values) > 1 && name != "state" {
			fault(name, receipt.CodeTwice, "")
			continue
		}
		value := strings.Join(values, ",")
		n, err := strconv.ParseUint(value, 10, 63) // no sign
		switch name {
		case "state":
			var ok bool
			if f.States, ok = states(value); !ok {
				fault(name, receipt.CodeNotAllowed, words(receipt.States))
			}
		case "limit":
			f.Limit = int(n)
			if value == "" {
				f.Limit = defaultLimit
			} else if err != nil || n < 1 || n > maxLimit {
				fault(name, receipt.CodeNotAllowed, "1…"+strconv.Itoa(maxLimit))
			}
		case "cursor":
			f.Before = int64(n)
			if value != "" && (err != nil || n < 1) {
				fault(name, receipt.CodePattern, "")
			}
		case "find":
			if find = value; utf8.RuneCountInString(value) > maxFind {
				fault(name, receipt.CodeTooLong, strconv.Itoa(maxFind))
			}
		default:
			fault(clip(name), receipt.CodeUnknown, "")
		}
	}
	if len(faults) > 0 {
		return receipt.Filter{}, "", faults
	}
	return f, find, nil
}

// states reads some states, separated by commas; none is all.
func states(list string) (found []receipt.State, ok bool) {
	for _, word := range strings.Split(list, ",") {
		if word == "" {
			continue
		}
		known := false
		for _, s := range receipt.States {
			if string(s) == word {
				found, known = append(found, s), true
			}
		}
		if !known {
			return nil, false
		}
	}
	return found, true
}

func words(states []receipt.State) string {
	var s []string
	for _, x := range states {
		s = append(s, string(x))
	}
	return strings.Join(s, " ")
}

// clip keeps a stranger's word from filling our answers.
func clip(s string) string {
	if n := []rune(strings.ToValidUTF8(s, "")); len(n) > 64 {
		return string(n[:64])
	}
	return strings.ToValidUTF8(s, "")
}
