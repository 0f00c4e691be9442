package omnitech

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

var (
	baku = time.FixedZone("+04", 4*60*60)
	noon = time.Date(2026, 11, 23, 19, 0, 0, 0, baku)
)

const (
	parentID = "BX2RFjuzMF1vAbCdEfGhJkMnPqRsTuVwXyZ123456789"
	madeID   = "5FhNmPqRsTuVwXyZ123456789ABCDEFGHJKLMNPQRSTu"
	success  = `{"code":0,"document_number":28,"long_id":"` + madeID + `","message":"Successful operation","shift_document_number":3,"short_id":"5FhNmPqRsTuV"}`
	info     = `{"code":0,"message":"Successful operation","data":{"cashbox_factory_number":"OM-1","cashregister_model":"TPS575",
		"company_name":"Kafe","company_tax_number":"123","firmware_version":"2.19.0","last_doc_number":27,"last_online_time":"2026-11-20T06:00:00Z",
		"not_after":"2027-01-01T00:00:00Z","object_name":"Bar","qr_code_url":"https://monitoring.example/#/index?doc=","state":"ACTIVE"}}`
	openShift = `{"code":0,"shiftStatus":true,"shift_open_time":"2026-11-23 08:00:00","serial":"OM-1","desc":""}`
)

// fake is a register of the page: it gives tokens out, takes the last one only,
// and answers what the test puts in.
type fake struct {
	tb      testing.TB
	server  *httptest.Server
	mu      sync.Mutex
	answers map[int]func(n int) string // by check_type; n counts its requests from 1
	asked   []asked
}

type asked struct {
	op   int
	raw  string
	body map[string]any // requestData
}

func newFake(tb testing.TB) *fake {
	f := &fake{tb: tb, answers: map[int]func(int) string{}}
	f.server = httptest.NewServer(f)
	tb.Cleanup(f.server.Close)
	f.says(opGetInfo, info)
	f.says(opShift, openShift)
	return f
}

func (f *fake) says(op int, answer string) { f.does(op, func(int) string { return answer }) }

func (f *fake) does(op int, answer func(n int) string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[op] = answer
}

const token1 = "dG9rZW4x+/8=="

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil || r.URL.Path != path || r.Method != http.MethodPost || r.Header.Get("Content-Type") != contentType {
		f.tb.Errorf("%s %s, %s, %v", r.Method, r.URL, r.Header.Get("Content-Type"), err)
	}
	var body map[string]map[string]any
	if err := json.Unmarshal(raw, &body); err != nil {
		f.tb.Errorf("%v in %s", err, raw)
	}
	a := asked{raw: string(raw), body: body["requestData"]}
	check, _ := a.body["checkData"].(map[string]any)
	n, _ := check["check_type"].(float64)
	a.op = int(n)
	f.mu.Lock()
	f.asked = append(f.asked, a)
	answer, times := f.answers[a.op], 0
	for _, b := range f.asked {
		if b.op == a.op {
			times++
		}
	}
	f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case answer != nil:
		_, _ = io.WriteString(w, answer(times))
	case a.op == opLogin && a.body["name"] == "api" && a.body["password"] == "s3cret":
		_, _ = io.WriteString(w, `{"access_token":"`+token1+`","code":1,"message":"login success"}`)
	default:
		_, _ = io.WriteString(w, `{"code":1300,"message":"operation info"}`)
	}
}

func (f *fake) of(op int) (all []asked) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.asked {
		if a.op == op {
			all = append(all, a)
		}
	}
	return all
}

func addrOf(tb testing.TB, s string) netip.AddrPort {
	tb.Helper()
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func (f *fake) driver(change ...func(*Config)) *Driver {
	c := Config{
		Addr: addrOf(f.tb, f.server.Listener.Addr().String()), Login: NewLogin("api", "s3cret"), Zone: baku,
		Now: func() time.Time { return noon },
	}
	for _, x := range change {
		x(&c)
	}
	return New(c)
}

func sold(items ...receipt.Item) receipt.Receipt {
	if items == nil {
		items = []receipt.Item{{Name: "Çay", Code: "7", Unit: receipt.Piece, Quantity: 1000, Price: 2_00, Tax: receipt.Tax{Type: receipt.VAT18}}}
	}
	r := receipt.Receipt{ID: "r-1", Kind: receipt.Sale, Time: noon, Cashier: "Aysel", Items: items}
	r.Payments.Cash = r.Total()
	return r
}

func job(r receipt.Receipt, parent *receipt.Stored) register.Job {
	return register.Job{Key: "70001", Receipt: r, Parent: parent, Baseline: register.Baseline{Serial: "OM-1", Last: "27", Shift: register.Shift{Open: true}}}
}

func stored(r receipt.Receipt) *receipt.Stored {
	return &receipt.Stored{Receipt: r, State: receipt.Fiscal, Document: &receipt.Document{FiscalID: parentID, Number: "20"}}
}

func prepared(tb testing.TB, d *Driver, j register.Job) register.Request {
	tb.Helper()
	r, err := d.Prepare(j)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}
