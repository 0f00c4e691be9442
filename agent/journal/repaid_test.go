package journal

import (
	"testing"

	"ekassa/agent/register"
)

func TestRepaid_CountsWhatIsStillPaid(t *testing.T) {
	j := fresh(t)
	fiscal := func(body, id string) int64 {
		t.Helper()
		s := accept1(t, j, "kassa-1", body)
		conclude(t, j, begin(t, j, s), made(id))
		return s.Seq
	}
	pay := func(id, kind, parent, more string) string {
		return `{"id":"` + id + `","kind":"` + kind + `","time":"2026-11-23T19:05:12+04:00","parent":{"id":"` + parent + `"}` + more + `}`
	}
	amount := func(m string) string {
		return `,"items":[{"name":"Toy","quantity":"1","price":"` + m + `"}],"payments":{"cash":"` + m + `"}`
	}
	debt := fiscal(`{"id":"s","kind":"sale","time":"2026-11-23T19:05:12+04:00","items":[{"name":"Toy","quantity":"1","price":"30.00"}],"payments":{"credit":"30.00"}}`, "AAAAAAAAAAAA1")
	check := func(want register.Repaid) {
		t.Helper()
		if got, err := j.Repaid(debt); err != nil || got != want {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
	check(register.Repaid{})
	fiscal(pay("p1", "credit_payment", "s", amount("10.00")), "BBBBBBBBBBBB1")
	fiscal(pay("p2", "credit_payment", "s", amount("5.00")), "CCCCCCCCCCCC1")
	check(register.Repaid{Count: 2, Sum: 15_00})
	fiscal(pay("c2", "cancel", "p2", ""), "DDDDDDDDDDDD1")
	check(register.Repaid{Count: 1, Sum: 10_00})
	fiscal(pay("b1", "refund", "p1", amount("4.00")), "EEEEEEEEEEEE1")
	check(register.Repaid{Count: 1, Sum: 6_00})
	fiscal(pay("b", "refund", "s", `,"items":[{"name":"Toy","quantity":"1","price":"2.00"}],"payments":{"credit":"2.00"}`), "FFFFFFFFFFFF1")
	check(register.Repaid{Count: 1, Sum: 8_00})
	accept1(t, j, "kassa-1", pay("p3", "credit_payment", "s", amount("1.00"))) // it only waits
	check(register.Repaid{Count: 1, Sum: 8_00})
}
