package simulator

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ekassa/cloud/hosttest"
)

func TestMain(m *testing.M) {
	// The mDNS library leaves its announcements running for some seconds.
	// The HTTP server waits half a second after it has hung up on a body too long.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/grandcat/zeroconf.(*Server).probe"),
		goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// till is a small client written from the page, not from the simulator.
type till struct {
	t    testing.TB
	url  string
	http *http.Client
}

type object = map[string]any

// start runs a simulator on a free port and returns it with a client.
func start(t testing.TB, change ...func(*Config)) (*Simulator, *till) {
	t.Helper()
	cfg := Config{Listen: hosttest.New() + ":8008"}
	for _, c := range change {
		c(&cfg)
	}
	s, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, newTill(t, s)
}

// open is start with an open shift.
func open(t testing.TB, change ...func(*Config)) (*Simulator, *till) {
	t.Helper()
	s, c := start(t, change...)
	if err := s.OpenShift("Əli"); err != nil {
		t.Fatal(err)
	}
	return s, c
}

func newTill(t testing.TB, s *Simulator) *till {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &till{t: t, url: s.URL(), http: &http.Client{Transport: tr, Timeout: 10 * time.Second}}
}

func classic(c *Config)                   { c.Edition = Classic }
func quirk(names ...string) func(*Config) { return func(c *Config) { c.Quirks = names } }

// signed builds the body of section 2, everything escaped.
func signed(data string) string {
	digest := fmt.Sprintf("%x", sha1.Sum([]byte(data+DefaultMerchantID)))
	return "data=" + url.QueryEscape(data) + "&sign=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(digest)))
}

func (c *till) raw(route, contentType, body string) (int, []byte, error) {
	req, err := http.NewRequest(http.MethodPost, c.url+route, bytes.NewBufferString(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp.StatusCode, got, err
}

func (c *till) try(route string, doc any) (int, []byte, error) {
	js, ok := doc.(string)
	if !ok {
		b, err := json.Marshal(doc)
		if err != nil {
			c.t.Fatal(err)
		}
		js = string(b)
	}
	return c.raw(route, "application/x-www-form-urlencoded", signed(base64.StdEncoding.EncodeToString([]byte(js))))
}

// post sends a document and returns the answer, which must be one.
func (c *till) post(route string, doc any) object {
	c.t.Helper()
	status, body, err := c.try(route, doc)
	if err != nil {
		c.t.Fatalf("%s: %v", route, err)
	}
	return c.object(route, status, body)
}

func (c *till) object(route string, status int, body []byte) object {
	c.t.Helper()
	var out object
	if err := json.Unmarshal(body, &out); err != nil || status != http.StatusOK {
		c.t.Fatalf("%s: HTTP %d, %v: %s", route, status, err, body)
	}
	return out
}

// ok is post for what must succeed.
func (c *till) ok(route string, doc any) object {
	c.t.Helper()
	out := c.post(route, doc)
	if out["status"] != "success" {
		c.t.Fatalf("%s: %v", route, out)
	}
	return out
}

// code is post for what must be refused with a code.
func (c *till) code(route string, doc any, want int) object {
	c.t.Helper()
	out := c.post(route, doc)
	if out["status"] != "error" || out["code"] != float64(want) {
		c.t.Fatalf("%s: want code %d, got %v", route, want, out)
	}
	return out
}

// with returns a copy of a document with some fields changed; nil removes one.
func with(doc object, changes ...any) object {
	out := maps.Clone(doc)
	for i := 0; i < len(changes); i += 2 {
		k := changes[i].(string)
		if changes[i+1] == nil {
			delete(out, k)
		} else {
			out[k] = changes[i+1]
		}
	}
	return out
}

func vat(name string, prc int) []object {
	return []object{{"taxName": name, "taxPrc": prc, "calcType": 1}}
}

func line(id string, qty, amount int) object {
	return object{"itemId": id, "itemName": "Çörək " + id, "itemQty": qty, "itemAmount": amount, "itemTaxes": vat("ƏDV 18%", 1800)}
}

// bread is the page's example sale (section 5.1), without a key.
func bread() object {
	return object{"docTime": "2025-03-01 14:05:09", "docNumber": "123", "employeeName": "Əli", "amount": 850, "currency": "AZN",
		"items": []object{line("7", 1000, 850)}, "payments": object{"cashAmount": 1000, "cashlessAmount": 0}}
}

// keyed is bread with a key of edition N.
func keyed(key string) object { return with(bread(), "documentExtID", key) }

func count(t testing.TB, s *Simulator, want int) []Document {
	t.Helper()
	got := s.Ledger()
	if len(got) != want {
		t.Fatalf("the ledger has %d documents, want %d: %+v", len(got), want, got)
	}
	return got
}
