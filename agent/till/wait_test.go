package till_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// later does something when the bubble's clock has come so far.
func later(after time.Duration, do func()) { time.AfterFunc(after, do) }

func TestAWaitEndsWhenTheReceiptIsFinal(t *testing.T) {
	for _, c := range []struct {
		name   string
		become func(*receipt.Stored)
		status int
	}{
		{"fiscal", makeFiscal, http.StatusCreated},
		{"refused", func(s *receipt.Stored) {
			s.State, s.Reason = receipt.Refused, receipt.Reason{Code: "refused_by_register", Detail: "502 no"}
		}, http.StatusAccepted},
		{"held", func(s *receipt.Stored) { s.State, s.Reason.Code = receipt.Held, "outcome_unknown" }, http.StatusAccepted},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				later(time.Second, func() {
					s.journal.set("till-1", "a-1", func(x *receipt.Stored) { x.State = receipt.Sending })
				})
				later(2*time.Second, func() { s.journal.set("till-1", "a-1", c.become) })
				began := time.Now()
				a := s.Post("/v1/receipts", sale("a-1"), "Prefer: wait=20").Want(c.status)
				if took := time.Since(began); took != 2*time.Second {
					t.Errorf("took %v, want 2s", took)
				}
				if a.Field("state") != c.name || a.Header.Get("Preference-Applied") != "wait=20" {
					t.Errorf("answer: %s, applied %q", a.Body, a.Header.Get("Preference-Applied"))
				}
				again := s.Post("/v1/receipts", sale("a-1"), "Prefer: wait=20").Want(http.StatusOK)
				if again.Field("state") != c.name || time.Since(began) != 2*time.Second {
					t.Errorf("repeat after %v: %s", time.Since(began), again.Body)
				}
			})
		})
	}
}

func TestAWaitThatRunsOutIsStillAYes(t *testing.T) {
	for prefer, took := range map[string]time.Duration{
		"wait=3": 3 * time.Second, "wait=600": time.Minute, "wait=99999999999999999999": time.Minute, "wait=0": 0, "respond-async": 0,
	} {
		t.Run(prefer, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				began := time.Now()
				if a := s.Post("/v1/receipts", sale("a-1"), "Prefer: "+prefer).Want(http.StatusAccepted); a.Field("state") != "waiting" {
					t.Errorf("answer: %s", a.Body)
				}
				if time.Since(began) != took {
					t.Errorf("took %v, want %v", time.Since(began), took)
				}
			})
		})
	}
}

func TestNobodyWaitsForARegisterThatHasLongBeenAway(t *testing.T) {
	for away, waits := range map[time.Duration]bool{time.Second: true, time.Minute: false} {
		synctest.Test(t, func(t *testing.T) {
			s := newShop(t)
			s.desk.registers[0].Link, s.desk.registers[0].SeenAt = register.LinkDown, time.Now().Add(-away)
			began := time.Now()
			s.Post("/v1/receipts", sale("a-1"), "Prefer: wait=3").Want(http.StatusAccepted)
			if waited := time.Since(began) > 0; waited != waits {
				t.Errorf("away for %v: waited is %v, want %v", away, waited, waits)
			}
		})
	}
}

func TestARepeatWaitsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.Post("/v1/receipts", sale("a-1")).Want(http.StatusAccepted)
		later(5*time.Second, func() { s.journal.set("till-1", "a-1", makeFiscal) })
		if a := s.Post("/v1/receipts", sale("a-1"), "Prefer: wait=20").Want(http.StatusOK); a.Field("state") != "fiscal" {
			t.Errorf("answer: %s", a.Body)
		}
	})
}

func TestAReceiptThatIsFinalAtOnceIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.settings.Module.AutoSend = false
		began := time.Now()
		if a := s.Post("/v1/receipts", sale("a-1"), "Prefer: wait=20").Want(http.StatusAccepted); a.Field("state") != "non_fiscal" || time.Since(began) != 0 {
			t.Errorf("after %v: %s", time.Since(began), a.Body)
		}
	})
}

func TestOnceStoredNothingTurnsTheYesIntoANo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.journal.failGet = errors.New("cannot read")
		s.Post("/v1/receipts", sale("a-1"), "Prefer: wait=5").Want(http.StatusAccepted)
		if len(s.journal.watchers) != 0 {
			t.Error("the wait left its watch behind")
		}
	})
}

func TestAWaitEndsAtOnceWhenTheAgentStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		ctx, stop := context.WithCancel(t.Context())
		later(4*time.Second, stop)
		began := time.Now()
		r := s.Request(http.MethodPost, "/v1/receipts", sale("a-1"), "Prefer: wait=60").WithContext(ctx)
		s.Do(r).Want(http.StatusAccepted)
		if time.Since(began) != 4*time.Second {
			t.Errorf("took %v", time.Since(began))
		}
	})
}

func TestPreferIsReadAsItsStandardHasIt(t *testing.T) {
	s := newShop(t)
	s.settings.Module.AutoSend = false // final at once: the header alone counts
	for prefer, want := range map[string]string{
		"wait=10": "wait=10", `WAIT="10"`: "wait=10", "respond-async, wait=5; x=1": "wait=5", "wait = 7": "wait=7", "wait=1, wait=2": "wait=1",
		`note="a, wait=3", wait=4`: "wait=4", "waiting=9": "", "": "", "wait=007": "wait=7", "wait=60": "wait=60", "wait=61": "wait=60",
	} {
		a := s.Post("/v1/receipts", sale("a-1"), "Prefer: "+prefer)
		if got := a.Header.Get("Preference-Applied"); got != want {
			t.Errorf("%s: applied %q, want %q", prefer, got, want)
		}
	}
	for _, prefer := range []string{"wait", "wait=", "wait=-1", "wait=1.5", "wait=soon", `wait="`, "wait=٣"} {
		a := s.Post("/v1/receipts", sale("a-2"), "Prefer: "+prefer).Want(http.StatusBadRequest)
		if a.Field("errors.0.field") != "Prefer" {
			t.Errorf("%s: names %q", prefer, a.Field("errors.0.field"))
		}
	}
	if s.journal.count() != 1 {
		t.Error("a refused request stored something")
	}
}

// FuzzPrefer holds that any header gets an answer that the document allows.
func FuzzPrefer(f *testing.F) {
	for _, seed := range []string{"wait=10", `wait="1`, ",;=", `a="\`, "wait=\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, prefer string) {
		s := newShop(t)
		s.settings.Module.AutoSend = false
		r := s.Request(http.MethodPost, "/v1/receipts", sale("a-1"))
		r.Header["Prefer"] = []string{prefer}
		if a := s.Do(r); a.Status != http.StatusAccepted && a.Status != http.StatusBadRequest {
			t.Errorf("status %d", a.Status)
		}
	})
}
