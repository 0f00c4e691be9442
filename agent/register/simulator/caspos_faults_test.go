package simulator

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestCasposFaults_TellTheLedgerFromTheAnswer goes through every fault on one
// exchange, and then sends the same UUID again until there is an answer: exactly
// one document, and ids for it.
func TestCasposFaults_TellTheLedgerFromTheAnswer(t *testing.T) {
	for _, tc := range []struct {
		fault  Fault
		status int    // 0 = no whole answer
		code   string // in the answer
		made   int
	}{
		{Fault{Name: DropBefore}, 0, "", 0},
		{Fault{Name: DropAfter}, 0, "", 1},
		{Fault{Name: Half}, 0, "", 1},
		{Fault{Name: Slow, MS: 5}, 200, "0", 1},
		{Fault{Name: SlowAfter, MS: 5}, 200, "0", 1},
		{Fault{Name: HTTP500}, 500, "0", 1},
		{Fault{Name: HTTP500Empty}, 500, "empty", 1},
		{Fault{Name: Garbage}, 200, "garbage", 1},
		{Fault{Name: BusyFault}, 200, "202", 0},
		{Fault{Name: Refuse, Code: 604}, 200, "604", 0},
		{Fault{Name: PaperOut}, 200, "999", 1},
		{Fault{Name: ShiftExpired}, 200, "504", 0},
		{Fault{Name: OtherSerial}, 200, "503", 0},
		{Fault{Name: Processing, MS: 5}, 200, "999", 0},
		{Fault{Name: Reboot, MS: 5}, 0, "", 0},
		{Fault{Name: RebootAfter, MS: 5}, 0, "", 1},
		{Fault{Name: Unreachable, MS: 5}, 0, "", 0},
		{Fault{Name: RefuseConnection, MS: 5}, 0, "", 0},
	} {
		t.Run(tc.fault.Name, func(t *testing.T) {
			s, c := openCaspos(t)
			f := tc.fault
			f.Route, f.Times = "/sale", 1
			s.Arm(f)
			c.done("getInfo", nil) // the route is the operation
			status, body, err := c.send("sale", roll("a"))
			if (err == nil) != (tc.status != 0) || status != tc.status && tc.status != 0 {
				t.Fatalf("HTTP %d %v %s", status, err, body)
			}
			switch tc.code {
			case "", "garbage":
				if strings.Contains(string(body), `"code":"0"`) && tc.status != 0 {
					t.Errorf("answer: %q", body)
				}
			case "empty":
				if len(body) > 0 {
					t.Errorf("answer: %q", body)
				}
			default:
				if !strings.Contains(string(body), `"code":"`+tc.code+`"`) {
					t.Errorf("answer: %q", body)
				}
			}
			if tc.fault.Name != Processing { // that one makes it by itself
				count(t, s, tc.made)
			}
			var out object
			for range 400 { // an outage ends within some ms
				if status, body, err := c.send("sale", roll("a")); err == nil {
					if out = c.object("sale", status, body); out["code"] != "999" {
						break
					}
				}
				time.Sleep(time.Millisecond)
			}
			want := "0"
			if tc.made == 1 || tc.fault.Name == Processing {
				want = "1"
			}
			if out["code"] != want || out["data"].(object)["document_id"] != count(t, s, 1)[0].FiscalID {
				t.Errorf("after the fault: %v", out)
			}
			if left := s.State().Faults; len(left) != 0 {
				t.Errorf("left armed: %+v", left)
			}
		})
	}
}

func TestCasposPaperOut_MakesTheDocumentAllTheSame(t *testing.T) {
	s, c := openCaspos(t)
	c.done("isConnectedPrinter", nil)
	s.Arm(Fault{Name: PaperOut})
	if out := c.answered("sale", roll("a")); out["code"] != "999" || !strings.Contains(out["message"].(string), "kağız") || len(out["data"].(object)) != 0 {
		t.Errorf("%v", out)
	}
	c.says("isConnectedPrinter", nil, "999")
	c.says("printLastCheque", nil, "999")
	if out := c.says("sale", roll("a"), "1"); out["document_id"] != count(t, s, 1)[0].FiscalID {
		t.Errorf("%v", out)
	}
	c.says("closeShift", object{"documentUUID": "z", "cashierName": "Əli"}, "999")
	if out := c.says("closeShift", object{"documentUUID": "z", "cashierName": "Əli"}, "1"); out["document_id"] != s.Shifts()[0].FiscalID {
		t.Errorf("%v", out)
	}
	s.LoadPaper()
	c.done("printLastCheque", nil)
	if d := count(t, s, 1)[0]; !d.Printed || strings.Contains(s.Paper(), "SURƏT") {
		t.Errorf("the first paper is no copy: %+v\n%s", d, s.Paper())
	}
}

func TestCasposPaperOut_InTheOtherReadings(t *testing.T) {
	s, c := openCaspos(t, quirk("paper-out-success", "printer-always-fine"))
	s.Arm(Fault{Name: PaperOut})
	c.done("sale", roll("a"))
	c.done("isConnectedPrinter", nil)
	if count(t, s, 1)[0].Printed {
		t.Error("printed on no paper")
	}
	s, c = openCaspos(t, quirk("paper-out-makes-nothing"))
	s.Arm(Fault{Name: PaperOut, Route: "/sale", After: 1, Times: 1})
	c.done("sale", roll("a"))
	c.says("sale", roll("b"), "999")
	count(t, s, 1)
	c.done("sale", roll("b"))
	count(t, s, 2)
}

func TestCaspos500_ComesWithASuccess(t *testing.T) {
	s, c := openCaspos(t, quirk("http-500-success"))
	status, body, err := c.send("sale", roll("a"))
	if err != nil || status != 500 || !strings.Contains(string(body), `"code":"0"`) || !strings.Contains(string(body), count(t, s, 1)[0].FiscalID) {
		t.Errorf("HTTP %d %v %s", status, err, body)
	}
	c.done("getInfo", nil)
	c.says("sale", with(roll("b"), "items", nil), "610")
}

func TestCasposProcessing_IsMadeLater(t *testing.T) {
	now := fixedNow
	s, c := openCaspos(t, func(cfg *Config) { cfg.Clock = func() time.Time { return now } })
	s.Arm(Fault{Name: Processing, MS: 1000, Times: 1})
	if out := c.answered("sale", roll("a")); out["code"] != "999" || out["message"] != "İcra olunur" {
		t.Errorf("%v", out)
	}
	c.says("sale", roll("a"), "999")
	c.says("sale", roll("b"), "202")
	count(t, s, 0)
	now = now.Add(time.Second)
	if out := c.says("sale", roll("a"), "1"); out["document_id"] != count(t, s, 1)[0].FiscalID {
		t.Errorf("%v", out)
	}
}

func TestCasposReboot_LosesTheSession(t *testing.T) {
	s, c := startCaspos(t, quirk("login-required", "uuids-forgotten-at-restart"))
	c.done("toLogin", nil)
	c.done("openShift", object{"sum": 0, "cashierName": "Əli"})
	c.done("sale", roll("a"))
	c.says("sale", roll("a"), "1")
	s.Arm(Fault{Name: Reboot, MS: 1})
	var out object
	for range 400 {
		if status, body, err := c.send("getInfo", nil); err == nil {
			out = c.object("getInfo", status, body)
			break
		}
		time.Sleep(time.Millisecond)
	}
	if out["code"] != "401" {
		t.Errorf("%v", out)
	}
	c.done("toLogin", nil)
	c.done("sale", roll("a")) // the UUID is forgotten: this is the danger
	c.says("sale", roll("a"), "1")
	count(t, s, 2)
}

func TestCasposSerial_AnotherDeviceKnowsNothing(t *testing.T) {
	s, c := openCaspos(t)
	sale := c.done("sale", roll("a"))
	if err := s.SetSerial("OTHER"); err != nil {
		t.Fatal(err)
	}
	c.says("sale", roll("a"), "503")
	c.done("openShift", object{"sum": 0, "cashierName": "Əli"})
	c.says("moneyBack", backOf("b", sale, 8.5, rollItem()[0]), "628")
	if other := c.done("sale", roll("a")); ids(other) == ids(sale) {
		t.Errorf("%v", other)
	}
	count(t, s, 2)
}

func TestCasposRestart_BringsEverythingBack(t *testing.T) {
	path, state := stateFile(t)
	caspos := func(c *Config) { c.Protocol = Caspos }
	s, c := openCaspos(t, state, func(c *Config) { c.Serial = "NMQ-5" })
	sale := c.done("sale", with(roll("a"), "items", []object{with(goods("7", 2, 4.25, 1), "itemUuid", "line-1")}))
	c.done("moneyBack", backOf("b", sale, 4.25, goods("7", 1, 4.25, 1)))
	c.done("moneyBack", with(backOf("m", sale, 1, goods("8", 1, 1, 3)), "isManual", true))
	z := c.done("closeShift", object{"documentUUID": "z", "cashierName": "Əli"})
	c.done("openShift", object{"sum": 0, "cashierName": "Vəli"})
	c.done("deposit", object{"documentUUID": "d", "sum": 5, "cashierName": "Əli", "currency": "AZN"})
	before, docs, x := s.State(), s.Ledger(), c.done("getXReport", object{"cashierName": "Əli"})
	tape := c.done("getControlTape", nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	if _, err := Start(Config{Listen: "127.0.0.1:0", State: path}); err == nil {
		t.Error("the ledger of another maker's register was taken")
	}
	s, till := reopen(t, path, caspos)
	c = &casposTill{till: till}
	after := s.State()
	after.Requests, before.Requests, after.Clock = nil, nil, before.Clock
	if asJSON(t, before) != asJSON(t, after) || asJSON(t, docs) != asJSON(t, s.Ledger()) {
		t.Errorf("before\n%s\n%s\nafter\n%s\n%s", asJSON(t, before), asJSON(t, docs), asJSON(t, after), asJSON(t, s.Ledger()))
	}
	x2, tape2 := c.done("getXReport", object{"cashierName": "Əli"}), c.done("getControlTape", nil)
	x["createdAtUtc"], x2["createdAtUtc"] = "", ""
	if !reflect.DeepEqual(x, x2) || !reflect.DeepEqual(tape, tape2) {
		t.Errorf("x report\n%v\n%v\ntape\n%v\n%v", x, x2, tape, tape2)
	}
	if again := c.says("sale", roll("a"), "1"); ids(again) != ids(sale) {
		t.Errorf("the UUID is forgotten: %v", again)
	}
	if again := c.says("closeShift", object{"documentUUID": "z", "cashierName": "Əli"}, "1"); !reflect.DeepEqual(again, z) {
		t.Errorf("%v\n%v", z, again)
	}
	c.says("moneyBack", backOf("b2", sale, 8.5, goods("7", 2, 4.25, 1)), "638")
	count(t, s, len(docs))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, till = reopen(t, path, caspos, quirk("uuids-forgotten-at-restart"))
	c = &casposTill{till: till}
	c.done("deposit", object{"documentUUID": "d", "sum": 5, "cashierName": "Əli", "currency": "AZN"})
	count(t, s, len(docs)+1)
}

func TestCasposRoute_CountsByOperation(t *testing.T) {
	s, c := openCaspos(t)
	s.Arm(Fault{Name: Refuse, Code: 401, Route: "/sale", After: 1, Times: 1})
	c.done("sale", roll("a"))
	c.says("sale", roll("b"), "401")
	c.done("sale", roll("b"))
	c.answered("no-such", nil)
	if n := s.State().Requests; n["/sale"] != 3 || n["/openShift"] != 1 || n["/"] != 1 {
		t.Errorf("%v", n)
	}
}
