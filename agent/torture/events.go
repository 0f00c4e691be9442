package torture

import (
	"math/rand/v2"
	"slices"
	"time"

	"ekassa/agent/register/simulator"
)

// Trouble is a kind of event that is not simply a fault of the simulator.
type Trouble string

// The troubles.
const (
	KillAgent    Trouble = "kill the agent"
	KillRegister Trouble = "kill the register"
	KillBoth     Trouble = "kill both"
	Arm          Trouble = "arm a fault"
	CloseShift   Trouble = "close the shift by hand"
	Swap         Trouble = "another register at the address"
)

// Event is one thing that goes wrong.
type Event struct {
	At       int           // when tills were told yes this often
	After    time.Duration // and then so much later
	Trouble  Trouble
	Register int             // index of the till whose register it is
	Fault    simulator.Fault // of Arm
	For      time.Duration   // how long, of paper-out and Swap
}

// IsKill says whether a process is killed.
func (e Event) IsKill() bool {
	return e.Trouble == KillAgent || e.Trouble == KillRegister || e.Trouble == KillBoth
}

// longestWork is the longest time for which a register may still make a
// document that it does not answer for; the agents here settle for longer.
const longestWork = 450

// routes are where documents are made, by how often they are.
var routes = []string{"/sale", "/sale", "/sale", "/sale", "/refund", "/rollback", "/rollback", "/deposit", "/withdraw", "/prepay", "/creditpay"}

// events draws the troubles of a plan.
func events(dice *rand.Rand, size Size) (list []Event) {
	moment := func() Event {
		return Event{
			At: size.Receipts/100 + dice.IntN(max(1, size.Receipts*97/100)), After: time.Duration(dice.IntN(60_000)) * time.Microsecond,
			Register: dice.IntN(size.Tills),
		}
	}
	for range size.Kills {
		e := moment()
		switch n := dice.IntN(100); {
		case n < 65:
			e.Trouble = KillAgent
		case n < 90:
			e.Trouble = KillRegister
		default:
			e.Trouble = KillBoth
		}
		list = append(list, e)
	}
	for range size.Faults {
		e := moment()
		switch n := dice.IntN(100); {
		case n < 2:
			e.Trouble, e.For = Swap, time.Duration(500+dice.IntN(1000))*time.Millisecond
		case n < 6:
			e.Trouble = CloseShift
		default:
			e.Trouble, e.Fault = Arm, fault(dice)
			e.For = time.Duration(200+dice.IntN(1300)) * time.Millisecond
		}
		list = append(list, e)
	}
	slices.SortStableFunc(list, func(a, b Event) int { return a.At - b.At })
	return list
}

// fault draws one of the simulator's.
func fault(dice *rand.Rand) simulator.Fault {
	names := []string{
		simulator.DropBefore, simulator.DropAfter, simulator.DropAfter, simulator.Half, simulator.Slow, simulator.SlowAfter,
		simulator.HTTP500, simulator.HTTP500Empty, simulator.Garbage, simulator.BusyFault, simulator.Processing, simulator.PaperOut,
		simulator.Reboot, simulator.RebootAfter, simulator.Unreachable, simulator.RefuseConnection,
	}
	f := simulator.Fault{Name: names[dice.IntN(len(names))], Times: 1 + dice.IntN(2), After: dice.IntN(3)}
	if dice.IntN(10) < 7 {
		f.Route = routes[dice.IntN(len(routes))]
	}
	switch f.Name {
	case simulator.Slow, simulator.SlowAfter:
		f.MS, f.Times = 50+dice.IntN(1500), 1
		if dice.IntN(4) == 0 {
			f.MS = 3300 // longer than the agents here wait for a document
		}
	case simulator.Processing:
		f.MS = 50 + dice.IntN(longestWork-50)
	case simulator.PaperOut:
		f.Route, f.After = "", 0
	case simulator.Reboot, simulator.RebootAfter, simulator.Unreachable, simulator.RefuseConnection:
		f.MS, f.Times = 100+dice.IntN(1200), 1
	}
	return f
}
