package caspos

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

const (
	username, password = "kassir-7", "gizli-4711"
	longID             = "4FXHkv2U6q8gJj9yT3mWcN5pRzSbDaLxEQ7VtKfGhYws"
)

var baku = time.FixedZone("+04", 4*60*60)

// fake is a register of the page that answers what the test puts in.
type fake struct {
	tb      testing.TB
	server  *httptest.Server
	mu      sync.Mutex
	answers map[string]func(n int) string // n-th time, from 1
	status  int
	asked   []asked
}

type asked struct {
	operation string
	body      map[string]any
	data      map[string]any
	raw       string
}

func newFake(tb testing.TB) *fake {
	f := &fake{tb: tb, status: http.StatusOK, answers: map[string]func(int) string{}}
	f.server = httptest.NewServer(f)
	tb.Cleanup(f.server.Close)
	f.says(opLogin, `{"data":{"access_token":"t"},"code":"0","message":"Successful operation"}`)
	f.says(opInfo, info("41.0"))
	f.says(opShift, openShift)
	f.says(opTape, tape())
	return f
}

func info(last string) string {
	return `{"code":"0","message":"Success operation","data":{"cashbox_factory_number":" CAS-1 ","cashregister_factory_number":"SUN-9",
		"cashregister_model":"SUNMI V1S","application_version":"2.1","company_name":"Kafe ","company_tax_number":"1401555071","object_name":"Bar",
		"qr_code_url":"https://monitoring.example/#/index?doc=","state":"ACTIVE","last_online_time":"23.11.2026 10:00:00","last_doc_number":` + last + `}}`
}

const (
	openShift   = `{"code":"0","data":{"shift_open":true,"shift_open_time":"23.11.2026 08:00:00"}}`
	closedShift = `{"code":"0","data":{"shift_open":false,"shift_open_time":""}}`
	laterShift  = `{"code":"0","data":{"shift_open":true,"shift_open_time":"23.11.2026 20:30:00"}}`
	made42      = `{"code":"0","message":"Success operation","data":{"document_id":"` + longID + `","short_document_id":"4FXHkv2U6q8g",
		"document_number":42,"shift_document_number":3,"number":"231126A1A1000042","totalSum":12.0,"rrn":"null","approval_code":"null"}}`
	printerOut = `{"code":"999","message":"Printer xətası: kağız bitib","data":{}}`
)

// tape is a control tape with these rows besides the two of the morning.
func tape(rows ...string) string {
	all := `{"document_id":"a1","number":40,"type":"deposit","total_sum":50},{"document_id":"a2","number":41,"type":"sale","total_sum":12.0}`
	for _, r := range rows {
		all += "," + r
	}
	n, _ := json.Marshal(2 + len(rows))
	return `{"code":"0","data":{"shift_number":7,"documents_quantity":` + string(n) + `,"documents":[` + all + `]}}`
}

func row(number, kind, sum string) string {
	return `{"document_id":"` + longID + `","short_document_id":"4FXHkv2U6q8g","number":` + number + `,"type":"` + kind + `","total_sum":` + sum +
		`,"createdAtUtc":"23.11.202619:01:02","delivered":true}`
}

func (f *fake) says(operation string, answers ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[operation] = func(n int) string { return answers[min(n, len(answers))-1] }
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		f.tb.Error(err)
	}
	if r.URL.Path != "/" || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json; charset=utf-8" {
		f.tb.Errorf("%s %s as %s", r.Method, r.URL.Path, r.Header.Get("Content-Type"))
	}
	a := asked{raw: string(raw)}
	if err := json.Unmarshal(raw, &a.body); err != nil {
		f.tb.Errorf("%v in %s", err, raw)
	}
	a.operation, _ = a.body["operation"].(string)
	a.data, _ = a.body["data"].(map[string]any)
	f.mu.Lock()
	f.asked = append(f.asked, a)
	n := 0
	for _, x := range f.asked {
		if x.operation == a.operation {
			n++
		}
	}
	answer, status := f.answers[a.operation], f.status
	f.mu.Unlock()
	if answer == nil {
		f.tb.Errorf("nobody expected %s", a.operation)
		return
	}
	said := answer(n)
	if said == "" && status == http.StatusOK { // hang up
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, said)
}

func (f *fake) addr() netip.AddrPort {
	return netip.MustParseAddrPort(f.server.Listener.Addr().String())
}

func (f *fake) driver() *Driver {
	return New(Config{
		Addr: f.addr(), Login: NewLogin(username, password), Zone: baku, Settle: time.Millisecond,
		Now: func() time.Time { return time.Date(2026, 11, 23, 19, 0, 0, 0, baku) },
	})
}

// of gives what was asked by the operation.
func (f *fake) of(operation string) (all []asked) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.asked {
		if a.operation == operation {
			all = append(all, a)
		}
	}
	return all
}

// job is a receipt on its way to the fake, over 12.00.
func job(kind receipt.Kind) register.Job {
	j := register.Job{
		Key: "4503599627370501", Terminal: "till-1",
		Receipt: receipt.Receipt{
			ID: "till1-000123", Kind: kind, Cashier: "Aysel M.", Note: "masa 7",
			Items: []receipt.Item{{
				Name: "Plov", Code: "1001", Unit: receipt.Piece, Quantity: 1500, Price: 800, Tax: receipt.Tax{Type: receipt.VAT18},
			}},
			Payments: receipt.Payments{Cash: 1200},
		},
		Baseline: register.Baseline{
			Serial: "CAS-1", Last: "41",
			Shift: register.Shift{Open: true, ID: "2026-11-23T04:00:00Z", OpenedAt: time.Date(2026, 11, 23, 8, 0, 0, 0, baku)},
		},
	}
	switch kind {
	case receipt.Deposit, receipt.Withdrawal:
		j.Receipt.Items, j.Receipt.Payments, j.Receipt.Amount = nil, receipt.Payments{}, 1200
	case receipt.Correction:
		j.Receipt.Period = &receipt.Period{From: time.Date(2026, 11, 22, 20, 0, 0, 0, baku), To: time.Date(2026, 11, 22, 23, 30, 0, 0, baku)}
	case receipt.Refund, receipt.Cancel, receipt.CreditPayment:
		p := j.Receipt
		p.Kind, p.Items = receipt.Sale, slices.Clone(p.Items)
		if kind == receipt.CreditPayment {
			p.Payments = receipt.Payments{Credit: 1200}
		}
		j.Parent = &receipt.Stored{Receipt: p, Key: "4503599627370400", Document: &receipt.Document{FiscalID: longID, RegisterSerial: "CAS-1"}}
	}
	return j
}

func prepare(tb testing.TB, d *Driver, j register.Job) register.Request {
	tb.Helper()
	r, err := d.Prepare(j)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}
