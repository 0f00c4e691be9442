package torture

import (
	"bytes"
	"os"
	"reflect"
	"testing"
)

// week reads the receipts that are sold again and again.
func week(t testing.TB) [][]byte {
	t.Helper()
	data, err := os.ReadFile("../testdata/week.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(data), []byte("\n"))
}

func plan(t testing.TB, seed uint64, size Size) Plan {
	t.Helper()
	p, err := MakePlan(seed, size, week(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlan_IsAFunctionOfTheSeed(t *testing.T) {
	size := Size{Receipts: 3001, Tills: 3, Kills: 40, Faults: 200}
	a, b, other := plan(t, 7, size), plan(t, 7, size), plan(t, 8, size)
	if !reflect.DeepEqual(a, b) {
		t.Error("the same seed makes two plans")
	}
	if reflect.DeepEqual(a.Tills, other.Tills) || reflect.DeepEqual(a.Events, other.Events) {
		t.Error("two seeds make the same plan")
	}
}

func TestPlan_HasEverythingThatWasAskedFor(t *testing.T) {
	size := Size{Receipts: 4001, Tills: 3, Kills: 60, Faults: 400}
	p := plan(t, 1, size)
	kinds, faults, n, kills, kept := map[string]int{}, map[string]int{}, 0, 0, 0
	for _, orders := range p.Tills {
		ids := map[string]Order{}
		for _, o := range orders {
			kinds[o.Kind]++
			n++
			if !o.Fiscal {
				kept++
			}
			if _, twice := ids[o.ID]; twice {
				t.Errorf("%s is there twice", o.ID)
			}
			for _, earlier := range []string{o.Parent, o.Again, o.Clash} {
				if _, ok := ids[earlier]; earlier != "" && !ok {
					t.Errorf("%s names %s, which does not come before it", o.ID, earlier)
				}
			}
			if o.Parent != "" && !ids[o.Parent].Fiscal {
				t.Errorf("%s goes back to %s, which is kept here only", o.ID, o.Parent)
			}
			if o.Total <= 0 {
				t.Errorf("%s is over %d", o.ID, o.Total)
			}
			ids[o.ID] = o
		}
	}
	for _, e := range p.Events {
		if e.IsKill() {
			kills++
		}
		faults[string(e.Trouble)]++
		if e.Trouble == Arm {
			faults[e.Fault.Name]++
			if err := e.Fault.Validate(); err != nil {
				t.Error(err)
			}
		}
		if e.At > size.Receipts || e.Register >= size.Tills {
			t.Errorf("%+v never happens", e)
		}
	}
	if n != size.Receipts || kills != size.Kills || len(p.Events) != size.Kills+size.Faults || kept == 0 {
		t.Errorf("%d receipts, %d kills, %d events, %d kept here only", n, kills, len(p.Events), kept)
	}
	for kind := range made {
		if kinds[kind] == 0 {
			t.Errorf("no %s", kind)
		}
	}
	for _, name := range []string{
		string(KillAgent), string(KillRegister), string(KillBoth), string(CloseShift), string(Swap), "drop-before", "drop-after", "half",
		"slow", "slow-after", "500", "500-empty", "garbage", "busy", "processing", "paper-out", "reboot", "reboot-after", "unreachable", "refuse-connection",
	} {
		if faults[name] == 0 {
			t.Errorf("no %s", name)
		}
	}
}
