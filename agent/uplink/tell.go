package uplink

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"ekassa/agent/crash"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/cloud/wire"
)

// teller tells records on one connection: the oldest epoch first, each in order,
// no more at once than the window, again until the cloud has acknowledged them.
type teller struct {
	*Uplink
	link    *link
	epochs  []*telling
	changed bool      // there are acknowledgements that are not on the disk
	noted   time.Time // when they last were
	next    time.Time // not before this is there another piece
	ahead   bool      // the cloud has more than was ever written, and people were told
}

// telling is how far one epoch is told.
type telling struct {
	register.Told
	next int64        // the first that was not told on this connection
	gaps []wire.Range // what the cloud says that it misses
	// stored is when the last was first told of those that are stored.
	stored time.Time
	redo   []int64           // told without an answer, to be told again
	sent   map[int64]*flight // told and not acknowledged
	// first is when each was first told on this connection: the copy that the
	// cloud has may be that one, so a later copy proves nothing of what was told between.
	first map[int64]time.Time
	alone bool // asked for by the cloud; nothing of it is our own to tell
}

type flight struct {
	at     time.Time
	token  mqtt.Token
	missed bool // the cloud, which says no more than that, has said since that it misses it
	passed bool // the cloud has stored what was told after it, and misses it
}

// doubts is what is held against records, from one connection to the next.
type doubts struct {
	// lost counts the connections that ended at once while the broker had not
	// taken this record, and no other. While there are any in it records go one
	// by one, to see which it is.
	lost    map[place]int
	refused map[place]refusal
}

// refusal counts how often the broker had a record and the cloud still missed it.
type refusal struct {
	times int
	since time.Time // when it was counted first
}

type place struct{ epoch, seq int64 }

const (
	strikes = 3 // are enough to set a record apart
	// blindly: where the cloud does not say what it has beyond a gap, it may only
	// be slow.
	blindly = 10
)

func newTeller(u *Uplink, l *link) (*teller, error) {
	t := &teller{Uplink: u, link: l, noted: time.Now()}
	if u.doubts.lost == nil {
		u.doubts.lost, u.doubts.refused = map[place]int{}, map[place]refusal{}
	}
	return t, t.refresh()
}

// refresh reads how many records there are.
func (t *teller) refresh() error {
	list, err := t.Journal.Untold()
	if err != nil {
		return err
	}
	for _, told := range list {
		if e := t.of(told.Epoch); e != nil {
			e.Last = max(e.Last, told.Last)
		} else {
			t.epochs = append(t.epochs, &telling{Told: told, next: told.Acked + 1, sent: map[int64]*flight{}, first: map[int64]time.Time{}})
		}
	}
	return nil
}

func (t *teller) of(epoch int64) *telling {
	for _, e := range t.epochs {
		if e.Epoch == epoch {
			return e
		}
	}
	return nil
}

// acked takes the cloud's word on what is in its database.
func (t *teller) acked(a wire.Ack, now time.Time) error {
	e := t.of(a.Epoch)
	if e == nil {
		if len(a.Missing) == 0 {
			return nil
		}
		// An epoch that was done with: the cloud has lost some of it since.
		e = &telling{Told: register.Told{Epoch: a.Epoch}, alone: true, sent: map[int64]*flight{}, first: map[int64]time.Time{}}
		t.epochs = append(t.epochs, e)
	}
	if a.UpTo > e.Last && !e.alone {
		if err := t.refresh(); err != nil {
			return err
		}
	}
	if a.UpTo > e.Last && e.Epoch == t.Journal.Epoch() {
		if !t.ahead { // what there is is told all the same; the cloud raises its own alarm
			t.Log.Error("an acknowledgement is not believed", "error", t.Journal.Acked(a.Epoch, a.UpTo))
		}
		t.ahead = true
		return nil
	}
	if a.UpTo > e.Acked {
		e.Acked, t.changed = a.UpTo, true
		e.next = max(e.next, a.UpTo+1)
		maps.DeleteFunc(e.first, func(seq int64, _ time.Time) bool {
			_, waits := e.sent[seq]
			return seq <= a.UpTo && !waits
		})
	}
	e.gaps = a.Missing
	for at := range t.doubts.lost {
		if at.epoch == a.Epoch && at.seq <= a.UpTo {
			delete(t.doubts.lost, at)
		}
	}
	maps.DeleteFunc(t.doubts.refused, func(at place, _ refusal) bool { return at.epoch == a.Epoch && at.seq <= a.UpTo })
	for seq := range e.sent {
		if seq <= max(a.UpTo, a.Top) && !e.misses(seq) {
			delete(e.sent, seq)
			delete(t.doubts.refused, place{a.Epoch, seq})
			if first := e.first[seq]; first.After(e.stored) {
				e.stored = first
			}
		}
	}
	for seq, f := range e.sent {
		if !e.misses(seq) || now.Sub(f.at) < t.Pace.Gap {
			continue // it may be on its way
		}
		if a.Top == 0 {
			f.missed = true
			continue
		}
		// Messages come in order: what was told after it is stored, and it is not. A copy
		// of which that is not known yet stays as it is, however old: one more each time
		// that word comes would never be proven, where words take longer than Gap. What
		// was passed over before is told again ever more rarely.
		f.passed = f.passed || e.stored.After(f.at)
		rarely := t.Pace.Gap << min(t.doubts.refused[place{a.Epoch, seq}].times, 16)
		if f.passed && now.Sub(f.at) >= rarely {
			t.again(e, seq, f)
		}
	}
	return nil
}

// again has a record told again. One that the broker has taken and the cloud has
// passed over, so often and for so long that it is enough, is one that the cloud does
// not take. Often alone is no proof: where several processes are the cloud, one that has
// lost its database may sit on the copies of a sound record while another goes on.
func (t *teller) again(e *telling, seq int64, f *flight) {
	delete(e.sent, seq)
	e.redo = append(e.redo, seq)
	if !f.passed && !f.missed || !received(f.token) {
		return
	}
	enough := blindly
	if f.passed {
		enough = strikes
	}
	at := place{e.Epoch, seq}
	r := t.doubts.refused[at]
	if r.times++; r.times == 1 {
		r.since = time.Now()
	}
	t.doubts.refused[at] = r
	if r.times >= enough && time.Since(r.since) >= t.Pace.Apart {
		t.setApart(at, "the cloud does not take it")
	}
}

func (e *telling) misses(seq int64) bool {
	return slices.ContainsFunc(e.gaps, func(g wire.Range) bool { return g.From <= seq && seq <= g.To })
}

// note puts acknowledgements on the disk, now and then: what is lost of them is
// only told again.
func (t *teller) note(now time.Time) error {
	if !t.changed || now.Sub(t.noted) < t.Pace.Note {
		return nil
	}
	for _, e := range t.epochs {
		if e.alone {
			continue
		}
		if err := t.Journal.Acked(e.Epoch, e.Acked); err != nil {
			return err
		}
	}
	t.changed, t.noted = false, time.Now()
	crash.Point(crash.Acknowledged)
	return nil
}

// fill tells what the window has room for, and gives the time until the next.
func (t *teller) fill(now time.Time) (time.Duration, error) {
	if wait := t.next.Sub(now); wait > 0 {
		return wait, nil
	}
	window := t.Pace.Window
	if len(t.doubts.lost) > 0 {
		window = 1
	}
	room := window
	for _, e := range t.epochs {
		for seq, f := range e.sent {
			if now.Sub(f.at) >= t.Pace.Again {
				t.again(e, seq, f)
			}
		}
		room -= len(e.sent)
	}
	for _, e := range t.epochs {
		if room <= 0 {
			break
		}
		n, err := t.tell(e, room)
		if err != nil {
			return 0, err
		}
		if room -= n; n > 0 {
			t.next = now.Add(t.Pace.Breath)
		}
	}
	if t.next.After(now) {
		return t.Pace.Breath, nil
	}
	return max(t.Pace.Breath, t.Pace.Again/10), nil
}

// tell tells an epoch's next records, at most so many.
func (t *teller) tell(e *telling, most int) (n int, err error) {
	list := e.wanted(most)
	if len(list) == 0 {
		return 0, nil
	}
	first, last := list[0], list[len(list)-1]
	records, err := t.Journal.Records(e.Epoch, first-1, int(last-first+1))
	if errors.Is(err, receipt.ErrNotFound) && e.alone {
		t.Log.Warn("the cloud asks for records of a journal that is not here any more", "epoch", e.Epoch, "from", first)
		e.gaps = nil
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	there := map[int64]register.Record{}
	for _, r := range records {
		there[r.Seq] = r
	}
	for _, seq := range list {
		r, ok := there[seq]
		if !ok {
			r = lost(e.Epoch, seq)
		}
		data, err := encode(t.Agent, r)
		if err != nil {
			at := place{e.Epoch, seq}
			if r.Apart != "" { // what stands in for it cannot be told either
				return n, fmt.Errorf("write record %d: %w", seq, err)
			}
			t.setApart(at, err.Error())
			continue // its alert comes with the next piece
		}
		at := time.Now() // its own, which says what was told before it
		e.sent[seq] = &flight{at: at, token: t.link.publish(wire.Topic(t.Agent, wire.TopicReport), false, data)}
		if _, again := e.first[seq]; !again {
			e.first[seq] = at
		}
		e.next = max(e.next, seq+1)
		e.redo = slices.DeleteFunc(e.redo, func(x int64) bool { return x == seq })
		n++
		crash.Point(crash.Published)
	}
	return n, nil
}

// wanted gives the numbers to be told next, at most so many and close together.
func (e *telling) wanted(most int) (list []int64) {
	slices.Sort(e.redo)
	e.redo = slices.DeleteFunc(slices.Compact(e.redo), func(seq int64) bool { return seq <= e.Acked && !e.alone })
	for _, seq := range e.redo {
		list = e.add(list, most, seq, seq)
	}
	for _, g := range e.gaps {
		to := g.To
		if !e.alone {
			to = min(to, e.next-1) // what is beyond is told anyway, in its turn
		}
		list = e.add(list, most, max(1, g.From), to)
	}
	if !e.alone {
		list = e.add(list, most, e.next, e.Last)
	}
	return list
}

// add adds what is not under way and not too far from what is there already.
func (e *telling) add(list []int64, most int, from, to int64) []int64 {
	if len(list) > 0 {
		from = max(from, list[0])
		to = min(to, list[0]+int64(most)-1)
	}
	for seq := from; seq <= to && len(list) < most; seq++ {
		if _, waits := e.sent[seq]; waits || slices.Contains(list, seq) {
			continue
		}
		if list = append(list, seq); len(list) == 1 {
			to = min(to, seq+int64(most)-1)
		}
	}
	slices.Sort(list)
	return list
}

// lost stands in for a record that is not in the journal any more, the same each
// time.
func lost(epoch, seq int64) register.Record {
	return register.Record{
		Epoch: epoch, Seq: seq, Type: register.RecordAlert, At: time.Unix(epoch, 0), About: "journal", Code: wire.AlertRecordLost,
		Detail: "it was lost with a damaged journal",
	}
}

func (t *teller) setApart(at place, why string) {
	delete(t.doubts.lost, at)
	delete(t.doubts.refused, at)
	t.Log.Error("a record cannot be told and is set apart: the cloud gets an alert in its place", "epoch", at.epoch, "seq", at.seq, "reason", why)
	if err := t.Journal.SetApart(at.epoch, at.seq, why); err != nil { // it is told as before
		t.Log.Error("a record could not be set apart", "error", err)
	}
}

// end draws what can be drawn from how the connection ended. The broker answers
// what it does not take by hanging up, without a word on what it was. So after
// that records go one by one, and the one that is the only one under way when the
// connection ends at once, again and again, is set apart. A network that goes
// away is noticed later than at once.
func (t *teller) end(hungUp bool) error {
	err := t.note(time.Now().Add(t.Pace.Note))
	if !hungUp {
		return err
	}
	var open []place
	for _, e := range t.epochs {
		for seq, f := range e.sent {
			if !received(f.token) && time.Since(f.at) < t.Pace.Answer {
				open = append(open, place{e.Epoch, seq})
			}
		}
	}
	for _, at := range open {
		t.doubts.lost[at] += 0 // one of them it may be
	}
	if len(open) != 1 {
		return err
	}
	at := open[0]
	if t.doubts.lost[at]++; t.doubts.lost[at] >= strikes {
		t.setApart(at, fmt.Sprintf("%d connections ended at once when it was sent", strikes))
	}
	return err
}
