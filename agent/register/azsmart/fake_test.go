package azsmart

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

const merchant = "9662a13f5b4f46dbb1751bbbf86ed402"

var baku = time.FixedZone("+04", 4*60*60)

// fake is a register of the page: it checks signatures and answers what the
// test puts in.
type fake struct {
	tb      testing.TB
	server  *httptest.Server
	mu      sync.Mutex
	answers map[string]func(body map[string]any) string
	status  int
	asked   []asked
}

type asked struct {
	route string
	json  string
	body  map[string]any
}

func newFake(tb testing.TB) *fake {
	f := &fake{tb: tb, status: http.StatusOK, answers: map[string]func(map[string]any) string{}}
	f.server = httptest.NewServer(f)
	tb.Cleanup(f.server.Close)
	f.says(routeGetInfo, `{"status":"success","serial_num":"AZ-1","state":"ACTIVE","cashbox_app_version":"3.1",
		"qr_code_url":"https://monitoring.example/#/index?doc=","company_name":"Kafe","company_tax_number":"123",
		"cashregister_model":"SmartOne","object_name":"Bar","last_online_time":"2026-11-20 10:00:00","not_after":"2027-01-01"}`)
	f.says(routeCheckShift, newShift)
	return f
}

const (
	newShift     = `{"status":"success","code":0,"isShiftOpen":"true","shiftStatus":1,"shiftID":7,"shiftOpenAt":"2026-11-23 08:00:00","cash":12345}`
	classicShift = `{"status":"success","isShiftOpen":"true","shiftID":"7"}`
	closedShift  = `{"status":"success","isShiftOpen":"false"}`
)

func (f *fake) says(route, answer string) {
	f.does(route, func(map[string]any) string { return answer })
}

func (f *fake) does(route string, answer func(map[string]any) string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[route] = answer
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		f.tb.Error(err)
	}
	values, err := url.ParseQuery(string(raw))
	if err != nil {
		f.tb.Error(err)
	}
	body, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(values.Get("data"), " ", "+"))
	if err != nil {
		f.tb.Error(err)
	}
	route := strings.TrimPrefix(r.URL.Path, "/")
	a := asked{route: route, json: string(body)}
	if err := json.Unmarshal(body, &a.body); err != nil {
		f.tb.Errorf("%s: %v in %s", route, err, body)
	}
	f.mu.Lock()
	f.asked = append(f.asked, a)
	answer, status := f.answers[route], f.status
	f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if values.Get("sign") != sign(strings.ReplaceAll(values.Get("data"), " ", "+"), merchant) {
		_, _ = io.WriteString(w, `{"status":"error","code":1,"message":"AUTH_ERROR"}`)
		return
	}
	w.WriteHeader(status)
	if answer == nil {
		_, _ = io.WriteString(w, `<html>no such page</html>`)
		return
	}
	_, _ = io.WriteString(w, answer(a.body))
}

func (f *fake) addr() netip.AddrPort { return addrOf(f.tb, f.server.Listener.Addr().String()) }

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
		Addr: f.addr(), MerchantID: merchant, Zone: baku,
		Now: func() time.Time { return time.Date(2026, 11, 23, 19, 0, 0, 0, baku) },
	}
	for _, x := range change {
		x(&c)
	}
	return New(c)
}

// of gives the bodies that the route was asked with.
func (f *fake) of(route string) (all []asked) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.asked {
		if a.route == route {
			all = append(all, a)
		}
	}
	return all
}

// edition makes the driver believe in an edition.
func (d *Driver) set(edition string) *Driver {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = edition
	return d
}
