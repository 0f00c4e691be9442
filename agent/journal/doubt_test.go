package journal

import (
	"testing"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// awaiting gives a journal with a receipt "a" that a person is asked about.
func awaiting(t *testing.T) *Journal {
	t.Helper()
	j := fresh(t)
	if err := j.Pair("kassa-1", "AZ-1", "192.168.1.1:8008"); err != nil {
		t.Fatal(err)
	}
	if err := j.SetForeign("kassa-1", "7", 0); err != nil {
		t.Fatal(err)
	}
	to(t, j, "a", receipt.Held)
	return j
}

// await holds what waits for the answers about all doubts.
func await(t *testing.T, j *Journal, documents int) {
	t.Helper()
	doubts, err := j.Doubts("kassa-1")
	if err != nil {
		t.Fatal(err)
	}
	last, err := j.LastReceipt()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Await("kassa-1", last, register.Unexplained{Documents: documents, Doubts: doubts}, "7", documents); err != nil {
		t.Fatal(err)
	}
}

func answer(t *testing.T, j *Journal, id string, v receipt.Verdict, now string) {
	t.Helper()
	d := receipt.Decision{Verdict: v, Who: "Aysel", Why: "looked at the paper"}
	if v == receipt.WasMade {
		d.Document = &receipt.Document{FiscalID: "F-" + id}
	}
	if _, err := j.Resolve("till-1", id, at(now), d); err != nil {
		t.Fatal(err)
	}
}

func because(t *testing.T, j *Journal, id string, state receipt.State, why string) {
	t.Helper()
	if s := get(t, j, id, state); s.Reason.Code != why {
		t.Errorf("%s is %s because of %q, want %q", id, s.State, s.Reason.Code, why)
	}
}

func TestDoubt_OneOfTwoWasMadeWhereTwoDocumentsWereFound(t *testing.T) {
	j := awaiting(t)
	to(t, j, "b", receipt.Held)
	sale(t, j, "w")
	await(t, j, 2)
	answer(t, j, "b", receipt.Drop, "kassa-1")
	because(t, j, "w", receipt.Held, register.WhyAnswer)
	answer(t, j, "a", receipt.WasMade, "kassa-1")
	because(t, j, "w", receipt.Held, register.WhyRangByHand)
}

func TestDoubt_OneOfTwoWasMadeWhereOneDocumentWasFound(t *testing.T) {
	j := awaiting(t)
	to(t, j, "b", receipt.Held)
	sale(t, j, "w")
	await(t, j, 1)
	answer(t, j, "a", receipt.WasMade, "kassa-1")
	because(t, j, "w", receipt.Waiting, register.WhyAnswer) // until the register was looked at once more
	answer(t, j, "b", receipt.Send, "kassa-1")
	if err := j.SetForeign("kassa-1", "7", 1); err != nil {
		t.Fatal(err)
	}
	because(t, j, "w", receipt.Waiting, "")
}

// Nothing waits for ever for what was taken back.
func TestDoubt_AChildOfWhatWasTakenBackIsNotReleased(t *testing.T) {
	j := awaiting(t)
	sale(t, j, "w1")
	accept1(t, j, "kassa-1", body("w2", "refund", `,"parent":{"id":"w1"}`))
	await(t, j, 1)
	answer(t, j, "w1", receipt.Drop, "kassa-1")
	answer(t, j, "a", receipt.WasMade, "kassa-1")
	because(t, j, "w2", receipt.Held, register.WhyParentGone)
}

// What was rung up at a register is seen there only.
func TestDoubt_WhereTheTillHasAnotherRegisterNowAPersonIsAsked(t *testing.T) {
	j := awaiting(t)
	sale(t, j, "w")
	await(t, j, 1)
	answer(t, j, "a", receipt.WasMade, "kassa-2")
	because(t, j, "w", receipt.Held, register.WhyAskFirst)
}

// Whoever answers in the very moment of the look is not passed over.
func TestDoubt_AnAnswerDuringTheLookHoldsNothing(t *testing.T) {
	j := awaiting(t)
	doubts, err := j.Doubts("kassa-1")
	if err != nil || len(doubts) != 1 || doubts[0].ID != "a" {
		t.Fatalf("%+v, %v", doubts, err)
	}
	w := sale(t, j, "w")
	answer(t, j, "a", receipt.WasMade, "kassa-1")
	_, err = j.Await("kassa-1", w.Seq, register.Unexplained{Documents: 1, Doubts: doubts}, "7", 1)
	wantErr(t, "an answered one", err, receipt.ErrMove)
	because(t, j, "w", receipt.Waiting, "")
}
