// Package tilltest is a till for tests. It holds every answer that it gets
// against the OpenAPI document: the status, the content type, the headers and
// the body, down to fields that the document does not know.
package tilltest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"

	"ekassa/agent/till"
)

// Client is a till. Change its fields freely between requests.
type Client struct {
	TB       testing.TB
	Base     string // "http://127.0.0.1:8787"
	Token    string
	Cookie   string            // of a person's session, "name=value", instead of the token
	Language string            // Accept-Language, where set
	Doer     http.RoundTripper // nil: the network
}

// New gives a till that speaks to an agent on the network.
func New(tb testing.TB, base, token string) *Client {
	tb.Helper()
	return &Client{TB: tb, Base: strings.TrimSuffix(base, "/"), Token: token}
}

// Direct gives a till that calls the handler without a network, from loopback:
// for tests in a synctest bubble.
func Direct(tb testing.TB, h http.Handler, token string) *Client {
	tb.Helper()
	return &Client{TB: tb, Base: "http://localhost", Token: token, Doer: direct{h}}
}

type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if r.Body == nil {
		r.Body = http.NoBody
	}
	if r.RemoteAddr == "" {
		r.RemoteAddr = "127.0.0.1:50000"
	}
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

// Answer is one that the document allows.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	tb     testing.TB
}

// JSON reads the body into v.
func (a *Answer) JSON(v any) {
	a.tb.Helper()
	if err := json.Unmarshal(a.Body, v); err != nil {
		a.tb.Fatalf("answer is not JSON: %v\n%s", err, a.Body)
	}
}

// Field gives one value of the body, as text: "document.fiscal_id",
// "errors.0.code". It is "" where there is none.
func (a *Answer) Field(path string) string {
	a.tb.Helper()
	var v any
	d := json.NewDecoder(bytes.NewReader(a.Body))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		a.tb.Fatalf("answer is not JSON: %v\n%s", err, a.Body)
	}
	for _, step := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			var n int
			if _, err := fmt.Sscan(step, &n); err != nil || n >= len(x) {
				return ""
			}
			v = x[n]
		default:
			return ""
		}
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// Want fails the test unless the answer has this status.
func (a *Answer) Want(status int) *Answer {
	a.tb.Helper()
	if a.Status != status {
		a.tb.Fatalf("status %d, want %d\n%s", a.Status, status, a.Body)
	}
	return a
}

// Get asks for a path, with headers as "Name: value".
func (c *Client) Get(path string, headers ...string) *Answer {
	c.TB.Helper()
	return c.Do(c.Request(http.MethodGet, path, "", headers...))
}

// Post sends a body; "" is none.
func (c *Client) Post(path, body string, headers ...string) *Answer {
	c.TB.Helper()
	return c.Do(c.Request(http.MethodPost, path, body, headers...))
}

// Request makes one, to change before it is sent.
func (c *Client) Request(method, path, body string, headers ...string) *http.Request {
	c.TB.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(c.TB.Context(), method, c.Base+path, content)
	if err != nil {
		c.TB.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if c.Cookie != "" {
		r.Header.Set("Cookie", c.Cookie)
	}
	if c.Language != "" {
		r.Header.Set("Accept-Language", c.Language)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		r.Header.Set(name, strings.TrimSpace(value))
	}
	return r
}

// Do sends a request and checks the answer. It may be called from other
// goroutines than the test's, in which case a failure is only noted.
func (c *Client) Do(r *http.Request) *Answer {
	c.TB.Helper()
	a, err := c.Try(r)
	if err != nil {
		c.TB.Fatal(err)
	}
	return a
}

// Try is Do for tests in which the agent may be away: err is the network's. An
// answer that the document does not allow fails the test as ever.
func (c *Client) Try(r *http.Request) (*Answer, error) {
	c.TB.Helper()
	response, body, err := c.send(r)
	if err != nil {
		return nil, err
	}
	c.check(r, response, body)
	return &Answer{Status: response.StatusCode, Header: response.Header, Body: body, tb: c.TB}, nil
}

func (c *Client) send(r *http.Request) (*http.Response, []byte, error) {
	if r.GetBody != nil { // keep the body for the check
		b, err := r.GetBody()
		if err != nil {
			return nil, nil, err
		}
		copied := r.Clone(r.Context())
		copied.Body = b
		defer func() { r.Body, _ = r.GetBody() }()
		return c.exchange(copied)
	}
	return c.exchange(r)
}

func (c *Client) exchange(r *http.Request) (*http.Response, []byte, error) {
	doer := c.Doer
	if doer == nil {
		doer = http.DefaultTransport
	}
	response, err := doer.RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, nil, fmt.Errorf("read answer: %w", err)
	}
	return response, body, nil
}

// spec holds what is made of the document, once.
var spec = sync.OnceValues(func() (v validator.Validator, err error) {
	document, err := libopenapi.NewDocument(till.OpenAPI)
	if err != nil {
		return nil, err
	}
	v, problems := validator.NewValidator(document, config.WithFormatAssertions(), config.WithStrictMode(),
		config.WithStrictIgnoredHeadersExtra("Cache-Control", "X-Content-Type-Options", "X-Accel-Buffering", "Allow"))
	return v, errors.Join(problems...)
})

// ValidDocument says whether the document itself is valid OpenAPI.
func ValidDocument() error {
	v, err := spec()
	if err != nil {
		return err
	}
	_, faults := v.ValidateDocument()
	for _, f := range faults {
		err = errors.Join(err, f)
		for _, s := range f.SchemaValidationErrors {
			err = errors.Join(err, fmt.Errorf("%s: %s", s.KeywordLocation, s.Reason))
		}
	}
	return err
}

// validating: the validator renders the document's schemas as it goes, and
// races with itself in this.
var validating sync.Mutex

// check holds an answer against the document; and a request that was honoured,
// so that the document is not stricter than the server.
func (c *Client) check(r *http.Request, response *http.Response, body []byte) {
	c.TB.Helper()
	v, err := spec()
	if err != nil {
		c.TB.Errorf("the OpenAPI document: %v", err)
		return
	}
	asked, got := r, *response
	got.Body = io.NopCloser(bytes.NewReader(body))
	if response.Request == nil {
		got.Request = asked
	}
	if s := response.StatusCode; s == http.StatusNotFound && isNoPath(r, body) || s == http.StatusMethodNotAllowed {
		// Not in the document, by nature: held against another 404.
		asked = c.Request(http.MethodGet, "/v1/receipts/x", "")
		got.StatusCode = http.StatusNotFound
	}
	if asked.Method == http.MethodHead {
		return // has no body to check
	}
	if asked.Header.Get("Cookie") != "" { // the validator does not see that a security scheme declares it
		asked = asked.Clone(asked.Context())
		asked.Header.Del("Cookie")
		asked.Header.Set("Authorization", "Bearer "+c.Token)
		got.Request = asked
	}
	validating.Lock()
	defer validating.Unlock()
	_, faults := v.ValidateHttpResponse(asked, &got)
	if response.StatusCode < 300 {
		_, more := v.ValidateHttpRequestSync(asked)
		faults = append(faults, more...)
	}
	for _, f := range faults {
		c.TB.Errorf("%s %s, answer %d: the OpenAPI document disagrees: %s: %s", r.Method, r.URL.Path, response.StatusCode, f.Message, f.Reason)
		for _, s := range f.SchemaValidationErrors {
			c.TB.Errorf("  at %s: %s", s.KeywordLocation, s.Reason)
		}
	}
	if len(faults) > 0 {
		c.TB.Logf("the answer: %s", body)
	}
}

// isNoPath says whether a 404 is of a path that the document does not have. The
// two orders of cash are paths of their own there, so reading them is none.
func isNoPath(r *http.Request, body []byte) bool {
	order := r.Method == http.MethodGet && (r.URL.Path == "/v1/cash/deposit" || r.URL.Path == "/v1/cash/withdraw")
	return order || bytes.Contains(body, []byte(`"urn:ekassa:problem:no_path"`))
}

// Event is a server-sent one.
type Event struct {
	ID, Name, Data string
	Comment        string // instead of all that
}

// CheckReceipt holds the data of a receipt's event against the document.
func (c *Client) CheckReceipt(e Event) {
	c.TB.Helper()
	c.check(c.Request(http.MethodGet, "/v1/receipts/x", ""), &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
	}, []byte(e.Data))
}

// ReadEvent reads the next event of a stream.
func ReadEvent(r *bufio.Reader) (e Event, err error) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return e, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "\n":
			return e, nil
		case name == "":
			e.Comment = value
		case name == "id":
			e.ID = value
		case name == "event":
			e.Name = value
		case name == "data":
			e.Data = value
		}
	}
}
