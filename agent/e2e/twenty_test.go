package e2e

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"ekassa/agent/listen"
	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
	"ekassa/agent/till/tilltest"
)

// silent takes connections at an address and never answers, as a register does
// that hangs. alive ends it, and a register stands there instead.
func silent(t *testing.T) (addr string, alive func() *simulator.Simulator) {
	t.Helper()
	l, err := listen.TCP(newHost() + ":8008")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var open []net.Conn
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
		}
	}()
	hang := sync.OnceFunc(func() {
		l.Close()
		<-ended
		for _, c := range open {
			c.Close()
		}
	})
	t.Cleanup(hang)
	return l.Addr().String(), func() *simulator.Simulator {
		t.Helper()
		hang()
		return register(t, simulator.Config{Listen: l.Addr().String(), Serial: "E2E-SILENT"})
	}
}

// Twenty tills with a register each, of which one takes connections and never
// answers. The agent gives it two minutes for each question: whoever waited for
// it would not be done before its till's 30 seconds are over.
func TestTwenty_OneDeadRegisterSlowsNobodyElse(t *testing.T) {
	t.Parallel()
	const many, each = 20, 3
	id := func(what string, n int) string { return fmt.Sprintf("%s-%d", what, n) }
	dead, alive := silent(t)
	sims := make([]*simulator.Simulator, many)
	var registers []object
	var terminals []any
	for n := range many {
		addr := dead
		if n > 0 {
			sims[n] = register(t, simulator.Config{Serial: id("E2E-TWENTY", n)})
			addr = sims[n].Addr()
		}
		registers = append(registers, extended(at(addr), object{"id": id("kassa", n), "terminal": id("till", n)}))
		terminals = append(terminals, object{"id": id("till", n), "name": id("Till", n)})
	}
	s := bareShop(t, registers...)
	s.settings["terminals"] = terminals
	s.write()
	tokens := make([]string, many)
	for n := range tokens {
		tokens[n] = s.newToken(id("till", n))
	}
	patient := fast
	patient.Pace.Question, patient.Pace.Document = 2*time.Minute, 2*time.Minute
	s.serve(patient)
	till := func(n int) *tilltest.Client {
		c := tilltest.New(s, "http://"+s.listen, tokens[n])
		c.Doer = heard
		return c
	}

	var all sync.WaitGroup
	for n := range many {
		all.Go(func() {
			c := till(n)
			for i := range each {
				if n == 0 {
					c.Post("/v1/receipts", sale(id("a", i))).Want(http.StatusAccepted)
					continue
				}
				r := storedIn(c.Post("/v1/receipts", sale(id("a", i)), wait).Want(http.StatusCreated))
				if r.State != receipt.Fiscal || r.Document.Serial != id("E2E-TWENTY", n) {
					t.Errorf("till-%d: %+v", n, r)
				}
			}
			if n > 0 {
				c.Post("/v1/shift/close", "").Want(http.StatusOK)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	for n, sim := range sims[1:] {
		if made := len(sim.Ledger()); made != each {
			t.Errorf("register %d made %d documents, want %d", n+1, made, each)
		}
	}
	c := till(0)
	if a := c.Get("/v1/status").Want(http.StatusOK); a.Field("queue.waiting") != fmt.Sprint(each) {
		t.Errorf("at the dead one: %s", a.Body)
	}

	back := alive()
	eventually(t, "what waited for the dead one is fiscal", func() bool {
		return c.Get("/v1/receipts/"+id("a", each-1)).Field("state") == string(receipt.Fiscal)
	})
	if made := len(back.Ledger()); made != each {
		t.Errorf("it made %d documents, want %d", made, each)
	}
}
