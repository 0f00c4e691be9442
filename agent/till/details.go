package till

import (
	"fmt"
	"net/http"

	"ekassa/agent/qr"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// detailsBody is a receipt with what was sold, and with both sides of the
// evidence: what the till closed, and what was tried at the register.
type detailsBody struct {
	Receipt  receiptBody      `json:"receipt"`
	Items    []receipt.Item   `json:"items"`
	Payments receipt.Payments `json:"payments"`
	Taxes    []taxBody        `json:"taxes"`
	Parent   *receipt.Parent  `json:"parent,omitempty"`
	Tries    []register.Try   `json:"tries"`
	Page     string           `json:"page,omitempty"` // the guest's, where there is a way to it
}

type taxBody struct {
	Name     string          `json:"name"`
	Rate     receipt.Percent `json:"rate"`
	Turnover receipt.Money   `json:"turnover"`
	Amount   receipt.Money   `json:"amount"`
}

func (a *api) details(key func(*request) (string, error)) handler {
	return func(w http.ResponseWriter, r *request) error {
		id, err := key(r)
		if err != nil {
			return err
		}
		s, err := a.Journal.Get(r.terminal, id)
		if err != nil {
			return err
		}
		tries, err := a.Journal.Tries(r.terminal, id)
		if err != nil {
			return err
		}
		b := detailsBody{
			Receipt: r.receipt(s), Items: append([]receipt.Item{}, s.Items...), Payments: s.Payments,
			Taxes: []taxBody{}, Parent: s.Parent, Tries: []register.Try{},
		}
		if a.Slips != nil && !s.Kind.IsCash() {
			b.Page = a.Slips.Link(s)
		}
		for _, x := range s.TaxSums() {
			name := x.Tax.Name
			if x.Tax.Type != "" {
				name = string(x.Tax.Type)
			}
			b.Taxes = append(b.Taxes, taxBody{Name: name, Rate: x.Tax.Percent(), Turnover: x.Turnover, Amount: x.Amount})
		}
		for _, t := range tries {
			t.At = r.local(t.At)
			learned := []register.Learned{}
			for _, l := range t.Learned {
				l.At = r.local(l.At)
				learned = append(learned, l)
			}
			t.Learned = learned
			b.Tries = append(b.Tries, t)
		}
		return reply(w, r, http.StatusOK, b)
	}
}

// getQR draws the document's QR code, whose content is the address where the
// buyer can check it.
func (a *api) getQR(w http.ResponseWriter, r *request) error {
	id, err := receiptKey(r)
	if err != nil {
		return err
	}
	s, err := a.Journal.Get(r.terminal, id)
	if err != nil {
		return err
	}
	if s.State != receipt.Fiscal || s.Document == nil || s.Document.URL == "" {
		return &problem{code: problemNoQR, field: "id"}
	}
	picture, err := qr.SVG(s.Document.URL)
	if err != nil {
		return fmt.Errorf("receipt %s: %w", id, err)
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	extend(w)
	_, _ = w.Write(picture)
	return nil
}
