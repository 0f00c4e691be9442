package store

import (
	"bytes"
	"cmp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"ekassa/cloud/wire"
)

// line is an agent's epoch.
type line struct {
	agent string
	epoch int64
}

func (l line) compare(m line) int {
	return cmp.Or(cmp.Compare(l.agent, m.agent), cmp.Compare(l.epoch, m.epoch))
}

// stream is how far a line is stored.
type stream struct {
	upTo, top int64
	ack       wire.Ack
	changed   bool
}

// entry is a record with what was read from its data.
type entry struct {
	wire.Record
	body any
	bad  string // why its data cannot be read
}

func (e entry) line() line { return line{e.Agent, e.Epoch} }

func compareEntries(a, b entry) int {
	return cmp.Or(a.line().compare(b.line()), cmp.Compare(a.Seq, b.Seq))
}

// same says whether two records of one number are one record.
func same(a, b wire.Record) bool {
	return a.V == b.V && a.Type == b.Type && a.Time.UnixMicro() == b.Time.UnixMicro() && bytes.Equal(a.Data, b.Data)
}

// standsIn says that a record was told in place of one that cannot be told. It
// is none of a clone's, whichever of the two came first.
func standsIn(r wire.Record) bool {
	if r.Type != wire.RecordAlert {
		return false
	}
	body, err := r.Body()
	a, ok := body.(*wire.Alert)
	return err == nil && ok && (a.Code == wire.AlertQuarantined || a.Code == wire.AlertRecordLost)
}

// readAll reads the records' data, on all cores, and sorts them by agent, epoch
// and number. Those that cannot be numbered are none.
func readAll(records []wire.Record) []entry {
	entries := make([]entry, 0, len(records))
	for _, r := range records {
		if wire.ValidAgent(r.Agent) && r.Epoch >= 1 && r.Seq >= 1 {
			r.Type = text(r.Type)
			entries = append(entries, entry{Record: r})
		}
	}
	const few = 64
	var wg sync.WaitGroup
	for part := range slices.Chunk(entries, max(few, 1+len(entries)/runtime.GOMAXPROCS(0))) {
		wg.Go(func() {
			for i := range part {
				part[i].read()
			}
		})
	}
	wg.Wait()
	slices.SortStableFunc(entries, compareEntries)
	return entries
}

func (e *entry) read() {
	body, err := e.Body()
	if err != nil {
		e.bad = err.Error()
		return
	}
	e.body, e.bad = body, faulty(body)
}

// faulty says why a body cannot be used, or nothing.
func faulty(body any) string {
	switch b := body.(type) {
	case *wire.Receipt:
		switch {
		case !validKey(b.ID) || !validKey(b.Terminal):
			return "a receipt without a proper id or terminal"
		case b.State == "" || b.Kind == "":
			return "a receipt without state or kind"
		}
		if _, ok := qepik(b.Total); !ok {
			return "a receipt whose total is no amount of money"
		}
	case *wire.Alert:
		if !validKey(b.Code) || len(b.Register) > maxKey {
			return "an alert without a proper code or register"
		}
	}
	return ""
}

func validKey(s string) bool { return s != "" && len(s) <= maxKey && text(s) == s }

// qepik reads decimal text with at most two decimals.
func qepik(s string) (int64, bool) {
	whole, part, point := strings.Cut(s, ".")
	if point && (len(part) < 1 || len(part) > 2) || len(whole) < 1 || len(whole) > 15 {
		return 0, false
	}
	digits := whole + (part + "00")[:2]
	if strings.ContainsFunc(strings.TrimPrefix(digits, "-"), func(c rune) bool { return c < '0' || c > '9' }) {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil
}
