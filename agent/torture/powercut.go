package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// PowercutOptions are what a run of power cuts is made of.
type PowercutOptions struct {
	Programs
	Seed        uint64
	Cuts, Tills int
	FS          string
	Models      []Model
	Control     bool // the journal does not sync: receipts must get lost
	Dir         string
	Week        [][]byte
	Say         func(string)
}

// PowercutResult is a run. Gone counts receipts that were told yes before a cut
// and not known after it, of all cuts together.
type PowercutResult struct {
	Result
	Control              bool
	FS                   string
	Cuts, Gone, CutsLost int
}

// OK says whether the run is as it should be: a control must lose.
func (r PowercutResult) OK() bool {
	if r.Control {
		return r.Gone > 0
	}
	return r.Gone == 0 && r.Result.OK()
}

// Line is the run in one line.
func (r PowercutResult) Line() string {
	if r.Control {
		says := "the test bites"
		if r.Gone == 0 {
			says = "the test does not bite"
		}
		return fmt.Sprintf("%s, %d cuts, control without syncs: told %d, told yes and gone %d, in %d of the cuts: %s, %s",
			r.FS, r.Cuts, r.Told, r.Gone, r.CutsLost, says, r.Took.Round(time.Second))
	}
	return fmt.Sprintf("%s, %d cuts: told yes and gone %d, %s", r.FS, r.Cuts, r.Gone, r.Result.Line())
}

// orderCount is enough for a cut: more than a till can sell until it comes.
const orderCount = 150

// Powercut has tills sell while the disk's power is cut again and again, with all
// that agent and registers keep on it. What tills were told before a cut must be
// there after it; what they are told while it is under way counts as lost on its
// way, and is posted again. At the end the referee judges the whole history.
func Powercut(ctx context.Context, o PowercutOptions) (r PowercutResult, err error) {
	began := time.Now()
	plan, err := MakePlan(o.Seed, Size{Receipts: (o.Cuts + 1) * orderCount * o.Tills, Tills: o.Tills}, o.Week)
	if err != nil {
		return r, err
	}
	d, err := newDisk(o.Dir, o.FS)
	if err != nil {
		return r, err
	}
	s, err := newShop(o.Programs, d.mount, filepath.Join(o.Dir, "logs"), o.Models, plan.Tills)
	if err != nil {
		return r, errors.Join(err, d.remove())
	}
	defer func() {
		s.kill()
		err = errors.Join(err, d.remove())
	}()
	r = PowercutResult{Control: o.Control, FS: o.FS, Cuts: o.Cuts}
	dice := rand.New(rand.NewPCG(o.Seed, 0)) //nolint:gosec // chance that can be repeated
	people, known := []*staff{}, map[string]bool{}
	for n, t := range s.tills {
		people = append(people, newStaff(t, s.kassas[n]))
	}
	if err := s.open(); err != nil {
		return r, err
	}
	for n := range o.Cuts {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		counts, err := s.cut(ctx, d, time.Duration(100+dice.IntN(1400))*time.Millisecond)
		if err != nil {
			return r, fmt.Errorf("cut %d: %w", n+1, err)
		}
		gone, err := s.missing(ctx, counts)
		if err != nil {
			return r, fmt.Errorf("after cut %d: %w", n+1, err)
		}
		gone = slices.DeleteFunc(gone, func(id string) bool { return known[id] })
		for _, id := range gone {
			known[id] = true
		}
		if len(gone) > 0 {
			r.Gone, r.CutsLost = r.Gone+len(gone), r.CutsLost+1
			o.Say(fmt.Sprintf("cut %d: told yes and gone: %s", n+1, strings.Join(gone, " ")))
		} else if (n+1)%25 == 0 {
			o.Say(fmt.Sprintf("%d cuts", n+1))
		}
	}
	if o.Control { // what was lost leaves contradictions behind that prove nothing more
		for _, t := range s.tills {
			r.Told += t.count()
		}
		r.Took = time.Since(began)
		return r, nil
	}
	found, err := s.afterCuts(ctx, people)
	if err != nil {
		return r, err
	}
	r.Result = Result{Verdict: Judge(found), Kills: o.Cuts, Took: time.Since(began)}
	r.figures(found)
	return r, nil
}

// cut has tills sell, cuts the power after a while, and starts all again. It
// gives how much each till had been told before.
func (s *shop) cut(ctx context.Context, d *disk, after time.Duration) (counts []int, err error) {
	if err := s.awake(ctx); err != nil {
		return nil, err
	}
	selling, closed := context.WithCancel(ctx)
	defer closed()
	var tills sync.WaitGroup
	for _, t := range s.tills {
		tills.Go(func() { t.sell(selling) })
	}
	time.Sleep(after)
	for _, t := range s.tills { // before the cut, never after it
		counts = append(counts, t.mark())
	}
	err = d.cut()
	closed()
	s.kill()
	tills.Wait()
	if err = errors.Join(err, d.off()); err != nil {
		return nil, err
	}
	if err := d.on(); err != nil {
		return nil, err
	}
	for n, t := range s.tills {
		t.back(counts[n])
	}
	return counts, s.open()
}

// awake waits until the agent answers.
func (s *shop) awake(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := s.tills[0].get(ctx, "/v1/receipts?limit=1", &struct{}{}); err != nil {
		return fmt.Errorf("the agent does not come back: %w: %s", err, lastLine(s.agentLog()))
	}
	return nil
}

// missing asks for the last receipts that tills were told yes for.
func (s *shop) missing(ctx context.Context, counts []int) (gone []string, err error) {
	for n, t := range s.tills {
		last := t.told[max(0, counts[n]-2*orderCount):counts[n]]
		if len(last) == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		list, err := t.list(ctx, "")
		cancel()
		if err != nil {
			return nil, fmt.Errorf("%w: %s", err, lastLine(s.agentLog()))
		}
		there := map[string]bool{}
		for _, r := range list {
			there[r.ID] = true
		}
		for _, x := range last {
			if len(x.Heard) > 0 && !there[x.ID] {
				gone = append(gone, x.ID)
			}
		}
	}
	return gone, nil
}

// afterCuts lets everything settle, and gathers what the referee wants to see.
func (s *shop) afterCuts(ctx context.Context, people []*staff) (Case, error) {
	working, home := context.WithCancel(ctx)
	var background sync.WaitGroup
	for _, p := range people {
		background.Go(func() { p.work(working) })
	}
	err := s.settle(ctx, 2*time.Minute)
	home()
	background.Wait()
	if err != nil {
		return Case{}, err
	}
	return s.evidence(ctx, people)
}
