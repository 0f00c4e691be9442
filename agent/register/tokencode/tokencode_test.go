package tokencode

import (
	"math"
	"testing"

	"ekassa/agent/register"
)

func TestCodes_StandInOrderAndDoNotOverlap(t *testing.T) {
	last := int64(math.MinInt64)
	for _, c := range Codes() {
		if c.From > c.To || c.From <= last || c.Says == "" {
			t.Errorf("%+v after %d", c, last)
		}
		last = c.To
		for _, n := range []int64{c.From, c.To} {
			if Of(n) != c {
				t.Errorf("Of(%d) = %+v, want %+v", n, Of(n), c)
			}
		}
	}
}

func TestCodes_OnlyWhatIsJudgedBeforeWritingRefuses(t *testing.T) {
	for _, c := range Codes() {
		if c.Refuses && c.Class != Payload && c.Class != Shift && c.Class != Auth {
			t.Errorf("%+v refuses", c)
		}
		if c.Verdict() == register.Made || c.Refuses != (c.Verdict() == register.Refused) {
			t.Errorf("%+v gives %s", c, c.Verdict())
		}
	}
}

func TestOf(t *testing.T) {
	for code, want := range map[int64]struct {
		class   Class
		verdict register.Verdict
		cause   register.Cause
	}{
		0: {OK, register.Unknown, register.CauseNone}, 1205: {OK, register.Unknown, register.CauseNone}, 231: {OK, register.Unknown, register.CauseNone},
		503: {Shift, register.Refused, register.ShiftClosed}, 504: {Shift, register.Refused, register.ShiftExpired},
		505: {Check, register.Unknown, register.Other}, 613: {Payload, register.Refused, register.BadData},
		627: {Payload, register.Refused, register.NoParent}, 639: {Replay, register.Unknown, register.Other},
		401: {Auth, register.Refused, register.Credentials}, 404: {Operator, register.Unknown, register.Credentials},
		405: {Service, register.Unknown, register.Supplier}, 604: {Operator, register.Unknown, register.Other},
		131: {Wait, register.Unknown, register.Busy}, 245: {Service, register.Unknown, register.Supplier},
		916: {Payload, register.Unknown, register.BadData}, 1005: {Payload, register.Unknown, register.BadData},
		1206: {Payload, register.Refused, register.BadData}, 4711: {Check, register.Unknown, register.Other},
		-2: {Check, register.Unknown, register.Other}, math.MaxInt64: {Check, register.Unknown, register.Other}, math.MinInt64: {Check, register.Unknown, register.Other},
	} {
		c := Of(code)
		if c.Class != want.class || c.Verdict() != want.verdict || c.Cause != want.cause {
			t.Errorf("%d: %+v", code, c)
		}
	}
}
