package till

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ekassa/cloud/wire"
)

// Config is all that the API stands on. Everything but Hosts, MetricsOnLAN, Log
// and Metrics is required.
type Config struct {
	Journal  Journal
	Desk     Desk
	Tokens   Tokens
	Settings func() wire.Settings // those in force now
	Log      *slog.Logger

	// People may use the staff page, which Page serves at / and below /page/. Both
	// may be nil: then there is none.
	People People
	Page   http.Handler

	// Slips prints guests' slips, which lead to a page that Guest serves at
	// /r/{token}, without a token of a till. Both may be nil: then there is none.
	Slips Slips
	Guest http.Handler

	// Manual is what makers of tills read, at /docs and below it; nil: there is none.
	Manual http.Handler

	// Setup leads through the first start at /setup/; nil: there is nothing to set up.
	Setup Setup

	// Metrics is what /metrics shows; the API's own are registered in it.
	Metrics *prometheus.Registry
	// MetricsOnLAN opens /metrics, /healthz and /readyz to other machines.
	MetricsOnLAN bool
	// Hosts are further names that the agent is known by on the network.
	Hosts []string
	// Named gives the one that it announces there now, "" for none; nil: never one.
	Named func() string
}

// api is the handler behind New.
type api struct {
	Config
	mux      *http.ServeMux
	hosts    map[string]bool
	rates    rates
	meters   meters
	sessions sessions
	zones    sync.Map // name of a time zone → *time.Location
}

// handler answers a request; an error that it returns is answered as a problem.
type handler func(w http.ResponseWriter, r *request) error

// Route is one path and method that the API answers.
type Route struct{ Method, Path string }

type route struct {
	Route
	serve http.Handler
}

// New gives the handler of the whole API.
func New(c Config) http.Handler {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	a := &api{Config: c, mux: http.NewServeMux(), hosts: hostNames(c.Hosts), meters: newMeters(c.Metrics)}
	for _, r := range a.routes() {
		a.mux.Handle(r.Method+" "+r.Path, r.serve)
	}
	if c.Page != nil {
		a.mux.Handle("GET /page/", c.Page)
	}
	if c.Guest != nil {
		a.mux.Handle("GET /r/{token}", c.Guest)
	}
	if c.Manual != nil {
		a.mux.Handle("GET /docs", c.Manual)
		a.mux.Handle("GET /docs/", c.Manual)
	}
	if c.Setup != nil {
		a.mux.Handle("/setup/", c.Setup)
	}
	a.mux.Handle("/", a.public(a.nowhere))
	return a.outermost(a.guard(a.mux))
}

// Routes lists what the API answers, for the test that holds the OpenAPI
// document against it.
func Routes() (list []Route) {
	for _, r := range (&api{Config: Config{Metrics: prometheus.NewRegistry()}}).routes() {
		list = append(list, r.Route)
	}
	return list
}

func (a *api) routes() []route {
	list := []route{
		{Route{"GET", "/v1/receipts"}, a.till(a.listReceipts)},
		{Route{"POST", "/v1/receipts"}, a.till(a.postReceipt, nobody)},
		{Route{"GET", "/v1/receipts/{id}"}, a.till(a.getReceipt)},
		{Route{"POST", "/v1/receipts/{id}/retry"}, a.till(a.act(receiptKey, a.retry))},
		{Route{"POST", "/v1/receipts/{id}/withdraw"}, a.till(a.act(receiptKey, a.withdraw), managers)},
		{Route{"POST", "/v1/receipts/{id}/fiscalise"}, a.till(a.act(receiptKey, a.fiscalise), managers)},
		{Route{"POST", "/v1/receipts/{id}/resolve"}, a.till(a.act(receiptKey, a.resolve), managers)},
		{Route{"POST", "/v1/receipts/{id}/reprint"}, a.till(a.act(receiptKey, a.reprint))},
		{Route{"POST", "/v1/receipts/{id}/slip"}, a.till(a.act(receiptKey, a.printSlip))},
		{Route{"GET", "/v1/receipts/{id}/details"}, a.till(a.details(receiptKey))},
		{Route{"GET", "/v1/receipts/{id}/qr.svg"}, a.till(a.getQR)},
		{Route{"GET", "/v1/cash"}, a.till(a.listCash)},
		{Route{"GET", "/v1/cash/{id}/details"}, a.till(a.details(cashKey))},
		{Route{"POST", "/v1/cash/deposit"}, a.till(a.postDeposit)},
		{Route{"POST", "/v1/cash/withdraw"}, a.till(a.postWithdrawal, managers)},
		{Route{"GET", "/v1/cash/{id}"}, a.till(a.getCash)},
		{Route{"POST", "/v1/cash/{id}/retry"}, a.till(a.act(cashKey, a.retry))},
		{Route{"POST", "/v1/cash/{id}/withdraw"}, a.till(a.act(cashKey, a.withdraw), managers)},
		{Route{"POST", "/v1/cash/{id}/resolve"}, a.till(a.act(cashKey, a.resolve), managers)},
		{Route{"GET", "/v1/status"}, a.till(a.getStatus)},
		{Route{"GET", "/v1/registers"}, a.till(a.getRegisters)},
		{Route{"POST", "/v1/registers/{id}/check"}, a.till(a.checkRegister)},
		{Route{"GET", "/v1/shift"}, a.till(a.getShift)},
		{Route{"POST", "/v1/shift/open"}, a.till(a.openShift)},
		{Route{"POST", "/v1/shift/close"}, a.till(a.closeShift)},
		{Route{"POST", "/v1/shift/x-report"}, a.till(a.xReport)},
		{Route{"POST", "/v1/period-report"}, a.till(a.periodReport)},
		{Route{"GET", "/v1/reports"}, a.till(a.getReports)},
		{Route{"GET", "/v1/events"}, a.till(a.events)},
		{Route{"GET", "/v1/acts"}, a.till(a.getActs, managers)},
		{Route{"GET", "/v1/session"}, a.public(a.getSession)},
		{Route{"POST", "/v1/session"}, a.public(a.signIn)},
		{Route{"POST", "/v1/session/end"}, a.public(a.signOut)},
		{Route{"GET", "/{$}"}, a.public(a.pointer)},
	}
	// These stand at the root, and below the base for those who read it so.
	metrics := promhttp.HandlerFor(a.Metrics, promhttp.HandlerOpts{DisableCompression: true})
	for _, base := range []string{"", "/v1"} {
		list = append(list,
			route{Route{"GET", base + "/openapi.yaml"}, a.public(a.openapi)},
			route{Route{"GET", base + "/healthz"}, a.local(a.healthz)},
			route{Route{"GET", base + "/readyz"}, a.local(a.readyz)},
			route{Route{"GET", base + "/metrics"}, a.local(func(w http.ResponseWriter, r *request) error {
				metrics.ServeHTTP(w, r.Request)
				return nil
			})},
		)
	}
	return list
}

// request is an HTTP request with what the API found out about it.
type request struct {
	*http.Request
	terminal string // empty where no token is asked for
	person   string // who is signed in on the staff page; empty: a till
	role     string
	lang     string
	settings wire.Settings
	zone     *time.Location
}

// location is the shop's zone; Baku's where the settings name none that is known.
func (a *api) location(s wire.Settings) *time.Location {
	if z, ok := a.zones.Load(s.Timezone); ok {
		return z.(*time.Location)
	}
	z, err := s.Location()
	if err != nil || s.Timezone == "" {
		z = time.FixedZone("+04:00", 4*60*60)
	}
	a.zones.Store(s.Timezone, z)
	return z
}
