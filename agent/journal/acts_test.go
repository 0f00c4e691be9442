package journal

import (
	"errors"
	"strings"
	"testing"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

func TestActs_AreKeptInOrderAndNeverChange(t *testing.T) {
	j := fresh(t)
	var numbers []int64
	for _, what := range []string{"sign_in", "receipts_id_retry", "shift_close"} {
		n, err := j.Act(receipt.Act{Terminal: "till-1", Who: "Aysel M.", Role: "manager", What: what, Subject: "x"})
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	if _, err := j.Act(receipt.Act{Terminal: "till-2", Who: "Rauf", Role: "cashier", What: "sign_in"}); err != nil {
		t.Fatal(err)
	}
	if err := j.ActDone(numbers[1], receipt.ActDone); err != nil {
		t.Fatal(err)
	}
	if err := j.ActDone(numbers[1], "move"); err == nil {
		t.Error("an outcome was changed")
	}
	if err := j.writer.do(func(x *tx) error { _, err := x.run(`DELETE FROM act`); return err }); err == nil {
		t.Error("acts were deleted")
	}
	list, err := j.Acts("till-1", 0, 10)
	if err != nil || len(list) != 3 || list[0].What != "shift_close" || list[1].Outcome != receipt.ActDone || list[2].Outcome != "" || list[0].At.IsZero() {
		t.Errorf("%+v, %v", list, err)
	}
	older, err := j.Acts("till-1", list[1].N, 10)
	if err != nil || len(older) != 1 || older[0].What != "sign_in" || older[0].Who != "Aysel M." {
		t.Errorf("%+v, %v", older, err)
	}
}

func TestTries_TellWhatWasLearned(t *testing.T) {
	j := fresh(t)
	to(t, j, "held", receipt.Held)
	list, err := j.Tries("till-1", "held")
	if err != nil || len(list) != 1 || list[0].Serial == "" || list[0].At.IsZero() {
		t.Fatalf("%+v, %v", list, err)
	}
	if f := list[0].Learned; len(f) == 0 || f[len(f)-1].Proof != register.ProofUnclear || strings.TrimSpace(f[0].Text) == "" {
		t.Errorf("%+v", f)
	}
	sale(t, j, "new")
	if list, err := j.Tries("till-1", "new"); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := j.Tries("till-2", "held"); !errors.Is(err, receipt.ErrNotFound) {
		t.Errorf("another till's: %v", err)
	}
}
