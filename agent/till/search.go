package till

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/cases"

	"ekassa/agent/receipt"
)

// maxFind is the most characters of what is looked for.
const maxFind = 128

// minFiscal is the fewest characters that are looked for in fiscal ids. They are random:
// one in eighty holds any two digits, and who looks for a table would find them.
const minFiscal = 4

// A search reads at most so many receipts at once, in such pieces; what is
// older is read from the cursor on, when it is asked for.
const (
	searchMost  = 5000
	searchPiece = 500
)

// matcher says whether a receipt is what is looked for; nil: every one is.
type matcher func(receipt.Stored) bool

// search gives up to the filter's limit of receipts, newest first; next is the
// cursor for what is older, 0 where there is nothing.
func (a *api) search(f receipt.Filter, match matcher) (found []receipt.Stored, next int64, err error) {
	limit := f.Limit
	if match == nil {
		f.Limit = limit + 1 // one more tells whether there are more
		found, err = a.Journal.List(f)
		if len(found) > limit {
			found = found[:limit]
			next = found[limit-1].Seq
		}
		return found, next, err
	}
	f.Limit = searchPiece
	for read := 0; read < searchMost; read += searchPiece {
		list, err := a.Journal.List(f)
		if err != nil {
			return nil, 0, err
		}
		for n, s := range list {
			if !match(s) {
				continue
			}
			found = append(found, s)
			if len(found) == limit && (n < len(list)-1 || len(list) == searchPiece) {
				return found, s.Seq, nil
			}
		}
		if len(list) < searchPiece {
			return found, 0, nil
		}
		f.Before = list[len(list)-1].Seq
	}
	return found, f.Before, nil
}

// searchFor reads what a person looks for: all of its words have to be found,
// each in the id, the bill's number, the note (the table), the cashier, the document's
// number or, of at least minFiscal characters, its fiscal id, or as the sum, the hour
// (19:05) or the day (24.11, 24.11.2026).
func searchFor(find string, zone *time.Location) matcher {
	fold := cases.Fold()
	words := strings.Fields(fold.String(find))
	if len(words) == 0 {
		return nil
	}
	return func(s receipt.Stored) bool {
		text, fiscal := s.ID+"\n"+s.Number+"\n"+s.Note+"\n"+s.Cashier, ""
		if s.Document != nil {
			text += "\n" + s.Document.Number
			fiscal = fold.String(s.Document.FiscalID)
		}
		text = fold.String(text)
		at := s.Time.In(zone)
		when := at.Format("15:04") + "\n" + at.Format("02.01.2006")
		for _, w := range words {
			inFiscal := utf8.RuneCountInString(w) >= minFiscal && strings.Contains(fiscal, w)
			if !inFiscal && !strings.Contains(text, w) && !isSum(w, s.Total()) && !isTime(w, when) {
				return false
			}
		}
		return true
	}
}

// isSum takes 12, 12.5, 12,50 for 12.50.
func isSum(word string, total receipt.Money) bool {
	whole, part, _ := strings.Cut(strings.Replace(word, ",", ".", 1), ".")
	if len(part) > 2 {
		return false
	}
	return fmt.Sprintf("%s.%s", whole, (part + "00")[:2]) == total.String()
}

// isTime says whether the word begins the hour or the day.
func isTime(word, when string) bool {
	if !strings.ContainsAny(word, ":.") {
		return false
	}
	for _, w := range strings.Split(when, "\n") {
		if strings.HasPrefix(w, word) {
			return true
		}
	}
	return false
}
