package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"ekassa/agent/register/simulator"
)

// exchange is one call on a wire: a till's, or a register's.
type exchange struct {
	call           string // "POST /sale"
	request, reply any
}

// tap stands between a caller and what it calls, and notes what goes over the wire.
type tap struct {
	mu   sync.Mutex
	seen []exchange
}

func newTap(t *testing.T, to string) (p *tap, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", newHost()+":8008")
	if err != nil {
		t.Fatal(err)
	}
	p = &tap{}
	through := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: to}) }}
	through.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) } // what is lost stays lost
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		e := exchange{call: r.Method + " " + r.URL.Path, request: decoded(body)}
		copied := &copier{ResponseWriter: w}
		defer func() {
			e.reply = decoded(copied.body.Bytes())
			p.mu.Lock()
			defer p.mu.Unlock()
			p.seen = append(p.seen, e)
		}()
		through.ServeHTTP(copied, r)
	})}
	go func() { _ = server.Serve(l) }() // until it is closed
	t.Cleanup(func() { server.Close() })
	return p, l.Addr().String()
}

// take gives what was noted since the last time.
func (p *tap) take() []exchange {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.seen
	p.seen = nil
	return seen
}

type copier struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (c *copier) Write(b []byte) (int, error) {
	c.body.Write(b)
	return c.ResponseWriter.Write(b)
}

// decoded reads JSON, and AzSmart's form with JSON in it.
func decoded(body []byte) any {
	form := map[string]any{}
	if values, err := url.ParseQuery(string(body)); err == nil && values.Has("data") && values.Has("sign") {
		form["sign"] = values.Get("sign")
		if body, err = base64.StdEncoding.DecodeString(values.Get("data")); err != nil {
			return form
		}
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	if len(form) > 0 {
		form["data"] = v
		return form
	}
	return v
}

// walk visits every value with its key.
func walk(v any, visit func(key, value string)) {
	var down func(key string, v any)
	down = func(key string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				down(k, x)
			}
			visit(key, "{}")
		case []any:
			for _, x := range v {
				down(key, x)
			}
			visit(key, "[]")
		default:
			visit(key, fmt.Sprint(v))
		}
	}
	down("", v)
}

// alike compares amounts as numbers, and finds a text in a longer one.
func alike(got, want string) bool {
	a, ok := new(big.Rat).SetString(got)
	b, number := new(big.Rat).SetString(want)
	if number {
		return ok && a.Cmp(b) == 0
	}
	return strings.Contains(got, want)
}

// has says whether a field of that name, with that value ("" is any), was on the wire.
func has(list []exchange, name, value string) bool {
	found := false
	for _, e := range list {
		for _, side := range []any{e.request, e.reply} {
			walk(side, func(k, v string) { found = found || k == name && (value == "" || alike(v, value)) })
		}
	}
	return found
}

// knows says whether a word of the guide's table was on the wire: the end of a call's
// path, an operation's name, or a field.
func knows(list []exchange, word string) bool {
	path := strings.TrimSuffix(word, "[]")
	path = path[strings.LastIndexByte(path, '.')+1:]
	if key, value, both := strings.Cut(path, ": "); both {
		return has(list, key, value)
	}
	return has(list, path, "") || slices.ContainsFunc(list, func(e exchange) bool {
		_, called, _ := strings.Cut(e.call, " ")
		fields, _ := e.request.(map[string]any)
		return e.call == word || strings.HasPrefix(word, "/") && strings.HasSuffix(called, word) || fields["operation"] == word
	})
}

// The columns of the guide's table behind that of the matter.
var columns = []string{"ours", "azsmart", "omnitech", "caspos"}

// migration is what a row of the table is tried with.
type migration struct {
	steps  string            // of sellAll, in words
	values map[string]string // by column: what the cell's fields hold, in their order
	none   map[string]string // by column: a value that must not be on the wire; ".name": no such field; "-sum": none beside the items
}

func same(value string, except map[string]string) map[string]string {
	m := map[string]string{}
	for _, c := range columns {
		if v, ok := except[c]; !ok {
			m[c] = value
		} else if v != "" {
			m[c] = v
		}
	}
	return m
}

var migrations = map[string]migration{
	"call":                    {steps: "sale"},
	"who you are":             {steps: "open sale"},
	"safe to repeat by":       {steps: "sale"},
	"bill's number":           {steps: "sale", values: map[string]string{"ours": "BILL-4711"}, none: map[string]string{"omnitech": "BILL-4711", "caspos": "BILL-4711"}},
	"a line at the foot":      {steps: "sale", values: same("table 7", nil), none: map[string]string{"azsmart": "table 7", "omnitech": "table 7"}},
	"time of the till":        {steps: "sale", values: same("19:05:12", nil), none: map[string]string{"omnitech": "19:05:12", "caspos": "19:05:12"}},
	"cashier":                 {steps: "sale", values: same("Aysel M.", nil)},
	"article":                 {steps: "sale", values: same("Plov;1001", nil)},
	"quantity":                {steps: "sale"},
	"unit":                    {steps: "sale"},
	"price of one":            {steps: "sale", values: same("8", nil), none: map[string]string{"azsmart": "800"}},
	"line's sum":              {steps: "sale", values: map[string]string{"omnitech": "12", "caspos": "12"}},
	"discount":                {steps: "discounted", values: map[string]string{"ours": "0.60", "azsmart": "60", "omnitech": "7.60", "caspos": "7.60"}},
	"tax":                     {steps: "sale"},
	"trade margin":            {steps: "margin", values: map[string]string{"ours": "margin18;5", "azsmart": "500;500", "omnitech": "3;3", "caspos": "5"}},
	"sums by tax":             {steps: "sale cancel", none: map[string]string{"azsmart": ".vatAmounts"}},
	"total":                   {steps: "sale", values: map[string]string{"omnitech": "12"}, none: map[string]string{"caspos": "-sum"}},
	"cash handed over":        {steps: "sale", values: map[string]string{"ours": "20", "azsmart": "2000", "omnitech": "20;12", "caspos": "20"}},
	"card":                    {steps: "mixed", values: same("1", map[string]string{"azsmart": "100"})},
	"bonus":                   {steps: "mixed", values: same("2", map[string]string{"azsmart": "200"})},
	"prepayment used":         {steps: "prepaid", values: same("20", map[string]string{"azsmart": "2000"})},
	"on credit":               {steps: "credit", values: same("30;M-17", map[string]string{"azsmart": "3000;M-17"})},
	"sale":                    {steps: "sale"},
	"refund":                  {steps: "refund"},
	"cancel":                  {steps: "cancel cancel-credit"},
	"prepayment":              {steps: "prepayment"},
	"credit payment":          {steps: "credit-payment"},
	"correction":              {steps: "correction"},
	"cash in, out":            {steps: "in out"},
	"shift":                   {steps: "open x close"},
	"fiscal id in the answer": {steps: "sale"},
	"a copy":                  {steps: "copy"},
	"after a time-out":        {steps: "lost"},
}

// sellAll does each step at a maker's register, and gives what went over both wires.
func sellAll(t *testing.T, m model) (ours, theirs map[string][]exchange) {
	config := simulator.Config{Protocol: m.protocol, Edition: m.edition}
	if m.protocol != simulator.AzSmart {
		config.User, config.Password = "api", "right"
	}
	sim := register(t, config)
	register, addr := newTap(t, sim.Addr())
	s := newShop(t, m.at(addr))
	s.serve(fast)
	agent, at := newTap(t, s.listen)
	c := s.till()
	c.Base = "http://" + at

	const when = `"time":"2026-11-23T19:05:12+04:00","cashier":"Aysel M."`
	line := func(name, code, price string) string {
		return `"items":[{"name":"` + name + `","code":"` + code + `","quantity":"1","price":"` + price + `","tax":"vat18"}]`
	}
	plov := `"items":[{"name":"Plov","code":"1001","unit":"kg","quantity":"1.5","price":"8.00","tax":"vat18"}]`
	bill := func(id, kind, rest string) func() {
		return func() {
			c.Post("/v1/receipts", `{"id":"`+id+`","kind":"`+kind+`",`+when+`,`+rest+`}`, wait).Want(http.StatusCreated)
		}
	}
	post := func(path, body string) func() { return func() { c.Post(path, body).Want(http.StatusOK) } }
	ours, theirs = map[string][]exchange{}, map[string][]exchange{}
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"open", post("/v1/shift/open", `{"cashier":"Aysel M."}`)},
		{"sale", bill("sale", "sale", `"number":"BILL-4711","note":"table 7",`+plov+`,"payments":{"cash":"20.00"}`)},
		{"copy", post("/v1/receipts/sale/reprint", `{}`)},
		{"discounted", bill("discounted", "sale", strings.Replace(plov, `"tax"`, `"discount":"0.60","tax"`, 1)+`,"payments":{"cash":"11.40"}`)},
		{"margin", bill("margin", "sale", strings.Replace(line("Kitab", "7", "8.00"), `"vat18"`, `"margin18","purchase_price":"5.00"`, 1)+`,"payments":{"cash":"8.00"}`)},
		{"mixed", bill("mixed", "sale", line("Çay", "8", "12.00")+`,"payments":{"cash":"9.00","card":"1.00","bonus":"2.00"}`)},
		{"prepayment", bill("advance", "prepayment", line("Banket", "1003", "20.00")+`,"payments":{"card":"20.00"}`)},
		{"prepaid", bill("banquet", "sale", line("Banket", "1003", "25.00")+`,"parent":{"id":"advance"},"payments":{"prepaid":"20.00","cash":"5.00"}`)},
		{"credit", bill("credit", "sale", line("Toy", "1004", "30.00")+`,"contract":"M-17","payments":{"credit":"30.00"}`)},
		{"credit-payment", bill("paid", "credit_payment", line("Toy", "1004", "10.00")+`,"contract":"M-17","parent":{"id":"credit"},"payments":{"cash":"10.00"}`)},
		{"refund", bill("refund", "refund", strings.Replace(plov, `"1.5"`, `"0.5"`, 1)+`,"parent":{"id":"sale"},"payments":{"cash":"4.00"}`)},
		{"cancel", bill("cancel", "cancel", `"parent":{"id":"discounted"}`)},
		{"", bill("credit-2", "sale", line("Toy", "1004", "30.00")+`,"contract":"M-18","payments":{"credit":"30.00"}`)},
		{"cancel-credit", bill("cancel-credit", "cancel", `"parent":{"id":"credit-2"}`)},
		{"correction", bill("correction", "correction", line("Nahar", "1005", "7.00")+`,"period":{"from":"2026-11-22T18:00:00+04:00","to":"2026-11-22T23:00:00+04:00"},"payments":{"cash":"7.00"}`)},
		{"in", func() {
			c.Post("/v1/cash/deposit", `{"id":"in","amount":"50.00","cashier":"Aysel M."}`, wait).Want(http.StatusCreated)
		}},
		{"out", func() {
			c.Post("/v1/cash/withdraw", `{"id":"out","amount":"10.00","cashier":"Aysel M."}`, wait).Want(http.StatusCreated)
		}},
		{"lost", func() {
			sim.Arm(simulator.Fault{Name: simulator.DropAfter, Route: "/sale", Times: 1})
			bill("lost", "sale", plov+`,"payments":{"cash":"12.00"}`)()
		}},
		{"x", post("/v1/shift/x-report", `{}`)},
		{"close", post("/v1/shift/close", `{"cashier":"Aysel M."}`)},
	} {
		register.take()
		agent.take()
		step.do()
		ours[step.name], theirs[step.name] = agent.take(), register.take()
	}
	return ours, theirs
}

// What the guide's table says of each maker's wire, and of ours, is what goes over
// them: its fields with their values, its operations, its routes; and what it says there
// is not is not there.
func TestMigration_TheGuidesTableIsTrue(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../manual/GUIDE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(guide), "| what | ours | AzSmart | Omnitech v2 | Caspos |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := map[string][]string{}
	for _, line := range strings.Split(table, "\n")[1:] {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 5 {
			t.Fatalf("the guide's table has a row of %d cells: %s", len(cells), line)
		}
		rows[cells[0]] = cells[1:]
		if _, known := migrations[cells[0]]; !known {
			t.Errorf("nothing tries the guide's row %s", cells[0])
		}
	}
	field, number := regexp.MustCompile("`([^`]+)`(?: `?([0-9\".a-z]*[0-9][0-9\".]*)`?)?"), regexp.MustCompile(`\b[0-9]+\b`)
	for _, m := range models {
		if m.edition == simulator.Classic {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := sellAll(t, m)
			for what, try := range migrations {
				cells, there := rows[what]
				if !there {
					t.Errorf("the guide has no row %s any more", what)
					continue
				}
				for n, column := range columns {
					wire := theirs
					switch column {
					case "ours":
						wire = ours
					case string(m.protocol):
					default:
						continue
					}
					var list []exchange
					for _, step := range strings.Fields(try.steps) {
						list = append(list, wire[step]...)
					}
					cell := cells[n]
					fail := func(format string, args ...any) {
						t.Helper()
						t.Errorf("%s, %s, %q: %s", what, column, cell, fmt.Sprintf(format, args...))
					}
					values := strings.Split(try.values[column], ";")
					for i, f := range field.FindAllStringSubmatch(cell, -1) {
						name, literal := f[1], strings.Trim(f[2], `"`)
						if name == "Authorization: Bearer" || name[0] >= '0' && name[0] <= '9' || name[0] == '"' {
							continue
						}
						name = strings.ReplaceAll(name, "{id}", "sale")
						if !knows(list, name) {
							fail("%s was not on the wire", name)
						}
						key := strings.TrimSuffix(name[strings.LastIndexByte(name, '.')+1:], "[]")
						held := []string{literal}
						if i < len(values) {
							held = append(held, values[i])
						}
						for _, value := range held {
							if value != "" && !has(list, key, value) {
								fail("%s did not hold %s", name, value)
							}
						}
					}
					if column == "omnitech" {
						for _, n := range number.FindAllString(field.ReplaceAllString(cell, ""), -1) {
							if !has(list, "check_type", n) {
								fail("no request was of check_type %s", n)
							}
						}
					}
					none := try.none[column]
					if (none == "") != !strings.HasPrefix(cell, "–") {
						fail("the table and this test do not agree on what there is")
					}
					for _, e := range list {
						data, _ := e.request.(map[string]any)
						inner, _ := data["data"].(map[string]any)
						switch {
						case none == "": // it is there
						case none == "-sum":
							if _, there := inner["sum"]; there && data["operation"] == "sale" {
								fail("the document has a sum")
							}
						default:
							walk(e.request, func(k, v string) {
								if "."+k == none || alike(v, none) {
									fail("%s holds %s", k, v)
								}
							})
						}
					}
				}
			}
		})
	}
}
