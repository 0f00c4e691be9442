package journal

import (
	"fmt"
	"sync"
	"testing"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

func TestChanges_AreEveryMoveInOrder(t *testing.T) {
	j := fresh(t)
	if n, err := j.LastChange(); n != 0 || err != nil {
		t.Error(n, err)
	}
	to(t, j, "r1", receipt.Fiscal)
	r, f := decode(t, body("x1", "sale", ""))
	if _, _, err := j.Accept("till-2", "kassa-2", r, f); err != nil {
		t.Fatal(err)
	}
	if err := j.ShiftOpened("kassa-1", register.Seen{Name: "7", OpenedBy: "auto"}); err != nil { // no receipt's change
		t.Fatal(err)
	}
	to(t, j, "r2", receipt.Refused)
	for _, c := range []struct {
		terminal string
		after    int64
		limit    int
		want     string
	}{
		{"", 0, 100, "1:r1 2:r1 3:r1 4:x1 6:r2 7:r2 8:r2"},
		{"till-1", 0, 100, "1:r1 2:r1 3:r1 6:r2 7:r2 8:r2"},
		{"till-1", 2, 2, "3:r1 6:r2"},
		{"till-2", 0, 100, "4:x1"},
		{"till-2", 4, 100, ""},
		{"till-3", 0, 100, ""},
	} {
		changes, err := j.Changes(c.terminal, c.after, c.limit)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, x := range changes {
			if got += fmt.Sprintf(" %d:%s", x.Record, x.Receipt.ID); x.At.IsZero() {
				t.Error("no time")
			}
			if x.Receipt.ID == "r1" && x.Receipt.State != receipt.Fiscal { // each as it is now
				t.Errorf("%+v", x.Receipt)
			}
		}
		if c.want != "" {
			c.want = " " + c.want
		}
		if got != c.want {
			t.Errorf("%s after %d:%s, want%s", c.terminal, c.after, got, c.want)
		}
	}
	if n, err := j.LastChange(); n != 8 || err != nil {
		t.Error(n, err)
	}
}

func TestWatch_WakesThoseItConcerns(t *testing.T) {
	j := fresh(t)
	type watched struct {
		name  string
		pulse <-chan struct{}
	}
	var all []watched
	add := func(name string) func(<-chan struct{}, func()) {
		return func(p <-chan struct{}, stop func()) { all = append(all, watched{name, p}); t.Cleanup(stop) }
	}
	add("till")(j.Watch("till-1", ""))
	add("receipt")(j.Watch("till-1", "r1"))
	add("another receipt")(j.Watch("till-1", "r2"))
	add("another till")(j.Watch("till-2", ""))
	add("register")(j.WatchRegister("kassa-1"))
	add("another register")(j.WatchRegister("kassa-2"))
	woken := func() (got string) {
		for _, w := range all {
			select {
			case <-w.pulse:
				got += w.name + ", "
			default:
			}
		}
		return got
	}
	s := sale(t, j, "r1")
	if got := woken(); got != "till, receipt, register, " {
		t.Error("accepted: ", got)
	}
	a := begin(t, j, s)
	conclude(t, j, a, made("f1"))
	if got := woken(); got != "till, receipt, register, " { // one pulse may stand for several changes
		t.Error("fiscal: ", got)
	}
	if err := j.Observe(a, "x"); err != nil {
		t.Fatal(err)
	}
	if got := woken(); got != "" {
		t.Error("nothing changed: ", got)
	}
	sale(t, j, "r3")
	woken()
	if _, err := j.Bind("till-1", "kassa-2"); err != nil {
		t.Fatal(err)
	}
	if got := woken(); got != "till, receipt, another receipt, another register, " {
		t.Error("bound: ", got)
	}
	if n := len(j.watches.all); n != 6 {
		t.Errorf("%d watches", n)
	}
	pulse, stop := j.Watch("till-1", "")
	stop()
	stop()
	sale(t, j, "r4")
	select {
	case <-pulse:
		t.Error("a stopped watch was woken")
	default:
	}
	if n := len(j.watches.all); n != 6 {
		t.Errorf("%d watches are left", n)
	}
}

// Who reads after each pulse sees everything, however many write meanwhile.
func TestWatch_LosesNothing(t *testing.T) {
	const writers, each = 8, 25
	j := fresh(t)
	var all sync.WaitGroup
	for n := range 3 {
		terminal := []string{"till-1", "till-1", ""}[n]
		pulse, stop := j.Watch("till-1", "")
		all.Go(func() {
			defer stop()
			var last int64
			fiscal, records := map[string]bool{}, 0
			for len(fiscal) < writers*each || records < writers*each*3 {
				<-pulse
				for {
					changes, err := j.Changes(terminal, last, 7)
					if err != nil {
						t.Error(err)
						return
					}
					for _, c := range changes {
						if c.Record != last+1 {
							t.Errorf("record %d after %d", c.Record, last)
						}
						last = c.Record
						records++
						if c.Receipt.State == receipt.Fiscal {
							fiscal[c.Receipt.ID] = true
						}
					}
					if len(changes) < 7 {
						break
					}
				}
			}
		})
	}
	for g := range writers {
		all.Go(func() {
			for n := range each {
				id := fmt.Sprintf("r-%d-%d", g, n)
				pulse, stop := j.Watch("till-1", id)
				waited := make(chan struct{})
				go func() { // a till that waits for the end
					defer close(waited)
					for {
						if s, err := j.Get("till-1", id); err == nil && s.State.Final() {
							return
						}
						<-pulse
					}
				}()
				r, f := decode(t, body(id, "sale", ""))
				s, _, err := j.Accept("till-1", fmt.Sprint("kassa-", g), r, f)
				if err != nil {
					t.Error(err)
					return
				}
				conclude(t, j, begin(t, j, s), made("f-"+id))
				<-waited
				stop()
			}
		})
	}
	all.Wait()
}
