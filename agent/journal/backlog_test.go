package journal

import (
	"fmt"
	"testing"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

func TestHoldWaiting_HoldsAllInSeveralCommits(t *testing.T) {
	j := fresh(t)
	var last receipt.Stored
	const all = 2*holdAtOnce + 50
	for n := range all {
		last = sale(t, j, fmt.Sprint("r", n))
	}
	sale(t, j, "later")
	n, err := j.HoldWaiting("kassa-1", last.Seq, receipt.Reason{Code: register.WhyAskFirst})
	if err != nil || n != all {
		t.Errorf("%d held, %v", n, err)
	}
	if q, err := j.Queue("kassa-1"); err != nil || q.Held != all || q.Waiting != 1 {
		t.Errorf("%+v, %v", q, err)
	}
	get(t, j, "later", receipt.Waiting)
}
