package frontdoor

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/texts"
)

const wallTime = "2006-01-02 15:04:05"

// A documentID is ours, since the register's is not known before the document
// is made, and what waits must have one to be asked by. It fits into 32 bits, as
// the older edition's clients keep it, and lies far above the numbers that
// registers give, so that one from before the door was there is never taken for
// ours. Part of it is the journal's tag: a new journal does not know the old
// one's.
const (
	firstID = 1_000_000_000
	perTag  = 10_000_000
)

func documentID(s receipt.Stored) int64 {
	key, err := strconv.ParseInt(s.Key, 10, 64)
	if err != nil {
		key = 0 // keys are digits
	}
	return firstID + key/100_000_000%100*perTag + s.Seq%perTag
}

// find gives the receipt that a documentID or a fiscal id names.
func (c *call) find(id string) (receipt.Stored, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err == nil && n > firstID && n < firstID+100*perTag && len(id) == 10 {
		seq := (n - firstID) % perTag
		for _, cash := range []bool{false, true} {
			list, err := c.Journal.List(receipt.Filter{Terminal: c.Terminal, Cash: cash, Before: seq + 1, Limit: 1})
			if err != nil {
				return receipt.Stored{}, err
			}
			if len(list) == 1 && list[0].Seq == seq && documentID(list[0]) == n {
				return list[0], nil
			}
		}
	}
	return c.Journal.ByFiscalID(c.Terminal, id)
}

// latest gives an operation's last try, whatever became of it.
func (c *call) latest(base string) (last receipt.Stored, err error) {
	for n := 1; n <= maxTries; n++ {
		s, err := c.Journal.Get(c.Terminal, tried(base, n))
		switch {
		case errors.Is(err, receipt.ErrNotFound) && n > 1:
			return last, nil
		case err != nil || !rejected(s):
			return s, err
		}
		last = s
	}
	return last, nil
}

// document tells of one that is in the journal and not withdrawn (5.1).
func (c *call) document(s receipt.Stored) answer {
	out := answer{
		"documentID": documentID(s), "docTime": s.Time.In(c.shop.Zone).Format(wallTime), "docStatus": 0,
		"fiscalID": "", "fiscalNum": "", "printError": 0, "currency_name": "AZN",
	}
	d := s.Document
	if s.State != receipt.Fiscal || d == nil {
		why := texts.State(c.shop.Language, s.State)
		if s.Reason.Code != "" {
			why += " " + texts.Reason(c.shop.Language, s.Reason)
		}
		out["message"] = why
		return out
	}
	out["docStatus"], out["fiscalID"], out["fiscalNum"] = 1, d.FiscalID, d.Number
	if !d.At.IsZero() {
		out["printTime"] = d.At.In(c.shop.Zone).Format(wallTime)
	}
	if d.URL != "" {
		out["fiscalUrl"] = d.URL
	}
	if !d.Printed {
		// The newer edition says error 15 here. It is fiscal, and whoever asks it
		// by check_status hears so: a success keeps tills from ringing it up again.
		out["printError"] = 1
	}
	out["totalPayments"] = payments(s)
	return out
}

// payments names the way by both words that the page has for it (section 11).
func payments(s receipt.Stored) []answer {
	p, change := s.Payments, s.Change()
	list := []answer{}
	for _, way := range []struct {
		code   string
		amount receipt.Money
	}{{"C", p.Cash - change}, {"V", p.Card}, {"B", p.Bonus}, {"P", p.Prepaid}, {"K", p.Credit}} {
		if way.amount == 0 {
			continue
		}
		a := answer{"type": way.code, "code": way.code, "amount": int64(way.amount)}
		if way.code == "C" && change > 0 {
			a["change"] = int64(change)
		}
		list = append(list, a)
	}
	return list
}

// unknown is the answer about a document that is not here: a success with
// docStatus -1 in the older edition, code 9 in the newer one (5.4).
func (c *call) unknown() (answer, error) {
	edition := c.status().Identity.Edition
	if edition == "" && c.f.id("documentExtID") == "" { // the register was not seen yet: by how it is asked
		edition = classic
	}
	if edition != classic {
		return nil, refuse(codeNotFound, "no such document")
	}
	return answer{
		"authID": "", "cardNum": "", "cashAmount": 0, "cashlessAmount": 0, "docStatus": -1, "fiscalID": "",
		"items": []answer{}, "otherAmount": 0, "transactionID": "",
	}, nil
}

// classic is how a register's identity names the older edition.
const classic = "classic"

// number writes a shift's id as the page's examples do; where there is none it
// is 0.
func number(s string) any {
	if s == "" {
		return 0
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && strconv.FormatInt(n, 10) == s {
		return json.Number(s)
	}
	return s
}

func wall(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	return t.In(zone).Format(wallTime)
}
