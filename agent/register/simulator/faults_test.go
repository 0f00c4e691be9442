package simulator

import (
	"net"
	"net/http"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"errors"
)

func TestParseFaults_ReadsTheCompactForm(t *testing.T) {
	got, err := ParseFaults("drop-after:/sale:after=3:times=1, slow:ms=500,refuse:code=5:/refund,serial:serial=X")
	want := []Fault{{Name: DropAfter, Route: "/sale", After: 3, Times: 1}, {Name: Slow, MS: 500}, {Name: Refuse, Route: "/refund", Code: 5}, {Name: OtherSerial, Serial: "X"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %+v", err, got)
	}
	for _, bad := range []string{"no-such", "slow:ms=x", "slow:for=5", "refuse", "slow:ms=-1", ",", "slow:"} {
		if _, err := ParseFaults(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// TestFaults_TellTheLedgerFromTheAnswer goes through every fault on one exchange:
// what the client sees, and what the ledger says.
func TestFaults_TellTheLedgerFromTheAnswer(t *testing.T) {
	for _, tc := range []struct {
		fault  Fault
		status int // 0 = no whole answer
		code   any // in the answer; nil = success
		made   int
	}{
		{Fault{Name: DropBefore}, 0, nil, 0},
		{Fault{Name: DropAfter}, 0, nil, 1},
		{Fault{Name: Half}, 0, nil, 1},
		{Fault{Name: Slow, MS: 5}, 200, nil, 1},
		{Fault{Name: SlowAfter, MS: 5}, 200, nil, 1},
		{Fault{Name: HTTP500}, 500, nil, 1},
		{Fault{Name: HTTP500Empty}, 500, "empty", 1},
		{Fault{Name: Garbage}, 200, "garbage", 1},
		{Fault{Name: BusyFault}, 200, 44.0, 0},
		{Fault{Name: Refuse, Code: 39}, 200, 39.0, 0},
		{Fault{Name: PaperOut}, 200, 15.0, 1},
		{Fault{Name: ShiftExpired}, 200, 22.0, 0},
		{Fault{Name: OtherSerial}, 200, 6.0, 0},
		{Fault{Name: Reboot, Route: "/sale", MS: 5}, 0, nil, 0},
		{Fault{Name: RebootAfter, MS: 5}, 0, nil, 1},
		{Fault{Name: Unreachable, Route: "/sale", MS: 5}, 0, nil, 0},
		{Fault{Name: RefuseConnection, Route: "/sale", MS: 5}, 0, nil, 0},
	} {
		t.Run(tc.fault.Name, func(t *testing.T) {
			s, c := open(t)
			f := tc.fault
			f.Times = 1
			s.Arm(f)
			status, body, err := c.try("/sale", keyed("a"))
			if tc.status == 0 {
				if err == nil {
					t.Fatalf("an answer: HTTP %d %s", status, body)
				}
			} else if err != nil || status != tc.status {
				t.Fatalf("HTTP %d %v", status, err)
			}
			switch tc.code {
			case nil, "garbage", "empty":
				if ok := strings.Contains(string(body), `"status":"success"`); ok != (tc.code == nil && tc.status != 0) {
					t.Errorf("answer: %q", body)
				}
				if tc.code == "empty" && len(body) > 0 {
					t.Errorf("answer: %q", body)
				}
			default:
				if out := c.object("/sale", status, body); out["code"] != tc.code || out["status"] != "error" {
					t.Errorf("answer: %v", out)
				}
			}
			count(t, s, tc.made)
			// The same again, and the register is itself: exactly one document.
			var out object
			for range 200 { // an outage ends within some ms
				status, body, err := c.try("/sale", keyed("a"))
				if err == nil {
					out = c.object("/sale", status, body)
					break
				}
				time.Sleep(time.Millisecond)
			}
			if out["status"] != "success" || out["fiscalID"] != count(t, s, 1)[0].FiscalID {
				t.Errorf("after the fault: %v", out)
			}
			if left := s.State().Faults; len(left) != 0 {
				t.Errorf("left armed: %+v", left)
			}
		})
	}
}

func TestFault_AfterTimesAndRouteAreObeyed(t *testing.T) {
	s, c := open(t)
	s.Arm(Fault{Name: Refuse, Code: 5, Route: "/sale", After: 1, Times: 2}, Fault{Name: BusyFault, Route: "/x_report"})
	c.ok("/check_shift", object{})
	c.ok("/sale", keyed("1"))
	c.code("/sale", keyed("2"), 5)
	c.ok("/check_shift", object{})
	c.code("/sale", keyed("2"), 5)
	c.ok("/sale", keyed("2"))
	c.code("/x_report", object{}, 44)
	c.code("/x_report", object{}, 44) // times 0 = until cleared
	s.Disarm()
	c.ok("/x_report", object{})
	if n := s.State().Requests["/sale"]; n != 4 {
		t.Errorf("%d requests counted", n)
	}
}

func TestFault_BusyIsCode5InClassic(t *testing.T) {
	s, c := open(t, classic)
	s.Arm(Fault{Name: BusyFault, Times: 1})
	c.code("/sale", bread(), 5)
	count(t, s, 0)
}

func TestPaperOut_NewAnswers15UntilPaperIsIn(t *testing.T) {
	s, c := open(t)
	s.Arm(Fault{Name: PaperOut})
	out := c.code("/sale", keyed("a"), 15)
	if out["documentID"] != 1001.0 || out["printError"] != 1.0 || out["fiscalID"] != nil {
		t.Errorf("%v", out)
	}
	if st := s.State(); st.Paper != "out" {
		t.Errorf("paper is %s", st.Paper)
	}
	if out := c.ok("/check_status", object{"documentExtID": "a"}); out["docStatus"] != 1.0 || out["fiscalID"] == "" {
		t.Errorf("%v", out)
	}
	c.code("/sale", keyed("a"), 15)
	c.code("/check_copy", object{"documentID": 1001}, 15)
	if out := c.code("/x_report", object{}, 15); out["saleSum"] != 850.0 {
		t.Errorf("%v", out)
	}
	s.LoadPaper()
	c.ok("/check_copy", object{"documentID": 1001})
	if d := count(t, s, 1)[0]; !d.Printed || strings.Contains(s.Paper(), "SURƏT") {
		t.Errorf("the first paper that came out is no copy: %+v\n%s", d, s.Paper())
	}
	c.ok("/sale", keyed("a"))
}

func TestPaperOut_ClassicSaysPrintError(t *testing.T) {
	s, c := open(t, classic)
	s.Arm(Fault{Name: PaperOut, Times: 1})
	if out := c.ok("/sale", bread()); out["printError"] != 1.0 || out["fiscalID"] == "" {
		t.Errorf("%v", out)
	}
	if count(t, s, 1)[0].Printed {
		t.Error("printed on no paper")
	}
}

func TestProcessing_IsMadeLater(t *testing.T) {
	now := fixedNow
	s, c := open(t, func(cfg *Config) { cfg.Clock = func() time.Time { return now } })
	s.Arm(Fault{Name: Processing, MS: 1000, Times: 1})
	out := c.code("/sale", keyed("a"), 44)
	count(t, s, 0)
	c.code("/sale", keyed("a"), 44)
	c.code("/sale", keyed("b"), 44) // busy with the first
	c.code("/check_status", object{"documentExtID": "a"}, 44)
	c.code("/check_status", object{"documentExtID": "b"}, 9)
	now = now.Add(time.Second)
	done := c.ok("/check_status", object{"documentExtID": "a"})
	if done["documentID"] != out["documentID"] || done["fiscalID"] != count(t, s, 1)[0].FiscalID {
		t.Errorf("%v then %v", out, done)
	}
	c.ok("/sale", keyed("b"))
}

func TestProcessing_ClassicSaysDocStatus0(t *testing.T) {
	now := fixedNow
	s, c := open(t, classic, func(cfg *Config) { cfg.Clock = func() time.Time { return now } })
	s.Arm(Fault{Name: Processing, MS: 1000, Times: 1})
	out := c.ok("/sale", bread())
	if out["docStatus"] != 0.0 || out["fiscalID"] != "" {
		t.Errorf("%v", out)
	}
	if out := c.ok("/check_status", object{"documentID": out["documentID"]}); out["docStatus"] != 0.0 {
		t.Errorf("%v", out)
	}
	s.Arm(Fault{Name: Reboot, MS: 1}) // what was only in memory is lost
	now = now.Add(time.Second)
	count(t, s, 0)
}

func TestDocStatus0First_ThenFiscal(t *testing.T) {
	s, c := open(t, quirk("docstatus-0-first"))
	if out := c.ok("/sale", keyed("a")); out["docStatus"] != 0.0 || out["fiscalID"] != "" {
		t.Errorf("%v", out)
	}
	if out := c.ok("/check_status", object{"documentExtID": "a"}); out["docStatus"] != 1.0 || out["fiscalID"] != count(t, s, 1)[0].FiscalID {
		t.Errorf("%v", out)
	}
}

func TestSlow_IsDoneEvenWhenTheClientHasGone(t *testing.T) {
	s, c := open(t)
	s.Arm(Fault{Name: Slow, MS: 2000, Times: 1})
	c.http.Timeout = 20 * time.Millisecond
	if _, _, err := c.try("/sale", keyed("a")); err == nil {
		t.Fatal("no time-out")
	}
	count(t, s, 0)
	c.http.Timeout = 20 * time.Second
	out := c.ok("/sale", keyed("a")) // waits its turn behind the slow one
	if out["fiscalID"] != count(t, s, 1)[0].FiscalID {
		t.Errorf("%v", out)
	}
}

func TestReboot_ForgetsWhatWasQueued(t *testing.T) {
	s, c := open(t)
	s.Arm(Fault{Name: Slow, MS: 1000, Times: 1})
	done := make(chan error, 1)
	go func() { _, _, err := c.try("/sale", keyed("a")); done <- err }()
	for s.State().Requests["/sale"] == 0 {
		time.Sleep(time.Millisecond)
	}
	s.Arm(Fault{Name: Reboot, MS: 1})
	if err := <-done; err == nil {
		t.Error("an answer out of a device that is rebooting")
	}
	var out object
	for out == nil {
		if status, body, err := c.try("/check_status", object{"documentExtID": "a"}); err == nil {
			out = c.object("/check_status", status, body)
		}
		time.Sleep(time.Millisecond)
	}
	if out["code"] != 9.0 {
		t.Errorf("%v", out)
	}
	count(t, s, 0)
}

func TestRefuseConnection_IsProvablyNotSent(t *testing.T) {
	s, c := start(t)
	c.ok("/check_shift", object{})
	s.Arm(Fault{Name: RefuseConnection, MS: 1000})
	if _, err := net.Dial("tcp", s.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v", err)
	}
	for {
		resp, err := http.Get(s.URL() + "/sim/state")
		if err == nil {
			resp.Body.Close()
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	http.DefaultClient.CloseIdleConnections()
	c.ok("/check_shift", object{})
}

func TestClose_DoesNotWaitForASlowAnswer(t *testing.T) {
	s, c := open(t)
	s.Arm(Fault{Name: SlowAfter, MS: 60_000})
	done := make(chan error, 1)
	go func() { _, _, err := c.try("/sale", keyed("a")); done <- err }()
	for len(s.Ledger()) == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Errorf("the answer that was waiting is lost: %v", err)
	}
}
