package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// readWeek gives the plain sales of a restaurant's week, each without the
// opening brace, its id and its time.
func readWeek(path string) (sales [][]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the week's receipts: %w; run it in the project's top folder", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r map[string]json.RawMessage
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		if string(r["kind"]) != `"sale"` || r["fiscal"] != nil || r["parent"] != nil || bytes.Contains(r["payments"], []byte("prepaid")) {
			continue
		}
		delete(r, "id")
		delete(r, "time")
		text, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		sales = append(sales, text[1:])
	}
	if len(sales) == 0 {
		return nil, fmt.Errorf("read %s: no sales in it", path)
	}
	return sales, nil
}

var sold atomic.Int64

// sale gives the next receipt that a till closed, with an id of its own.
func (b *bench) sale() []byte {
	n, now := sold.Add(1), time.Now()
	head := fmt.Sprintf(`{"id":"b%s-%d","time":"%s",`, strconv.FormatInt(now.UnixMicro(), 36), n, now.Format(time.RFC3339))
	return append([]byte(head), b.week[int(n)%len(b.week)]...)
}

// Each terminal may ask 50 times a second, after a burst of 200; the tills
// here keep below that by having several tokens each, or by waiting.
const (
	perSecond = 45
	burst     = 190
)

// token is one terminal's, and how much of its rate was used.
type token struct {
	terminal, secret string
	used             float64
	at               time.Time
}

// ready waits until the terminal may ask again.
func (t *token) ready() {
	now := time.Now()
	t.used = max(0, t.used-perSecond*now.Sub(t.at).Seconds()) + 1
	t.at = now
	if over := t.used - burst; over > 0 {
		time.Sleep(time.Duration(over / perSecond * float64(time.Second)))
	}
}

// till is one client with one kept connection. It closes one receipt after the
// other, taking turns with its tokens. It writes its requests by itself, so
// that what is measured is the agent and not a client.
type till struct {
	bench  *bench
	addr   string
	tokens []*token
	turn   int
	conn   net.Conn
	in     *bufio.Reader
}

func newTill(b *bench, addr string, tokens ...*token) *till {
	return &till{bench: b, addr: addr, tokens: tokens}
}

func (t *till) close() {
	if t.conn != nil {
		t.conn.Close()
	}
}

// sell posts the next receipt and gives how long the answer took. wait is for
// the document; without it yes is enough.
func (t *till) sell(ctx context.Context, wait bool) (time.Duration, error) {
	return t.post(ctx, t.bench.sale(), wait)
}

func (t *till) post(ctx context.Context, body []byte, wait bool) (time.Duration, error) {
	head, want := "Content-Type: application/json\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n", http.StatusAccepted
	if wait {
		head, want = head+"Prefer: wait=30\r\n", http.StatusCreated
	}
	answer, status, took, err := t.do(ctx, "POST /v1/receipts", head, body)
	switch {
	case err == nil && wait && status == http.StatusAccepted:
		err = &unfinished{answer}
	case err == nil && status != want:
		err = fmt.Errorf("the agent answered %d and not %d: %s", status, want, answer)
	}
	return took, err
}

// unfinished: yes, and no document in the time.
type unfinished struct{ answer []byte }

func (u *unfinished) Error() string { return fmt.Sprintf("no document in time: %s", u.answer) }

// get reads from the API.
func (t *till) get(ctx context.Context, path string) ([]byte, time.Duration, error) {
	answer, status, took, err := t.do(ctx, "GET "+path, "", nil)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("GET %s: %d: %s", path, status, answer)
	}
	return answer, took, err
}

func (t *till) do(ctx context.Context, line, head string, body []byte) (answer []byte, status int, took time.Duration, err error) {
	if t.conn == nil {
		if t.conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", t.addr); err != nil {
			return nil, 0, 0, err
		}
		t.in = bufio.NewReader(t.conn)
	}
	defer context.AfterFunc(ctx, func() { t.conn.Close() })()
	if len(t.tokens) > 0 {
		token := t.tokens[t.turn%len(t.tokens)]
		t.turn++
		token.ready()
		head += "Authorization: Bearer " + token.secret + "\r\n"
	}
	request := append([]byte(line+" HTTP/1.1\r\nHost: "+t.addr+"\r\n"+head+"\r\n"), body...)
	begun := time.Now()
	if _, err := t.conn.Write(request); err != nil {
		return nil, 0, 0, err
	}
	r, err := http.ReadResponse(t.in, nil)
	if err != nil {
		return nil, 0, 0, err
	}
	defer r.Body.Close()
	answer, err = io.ReadAll(r.Body)
	return answer, r.StatusCode, time.Since(begun), err
}

// goroutines of the agent, by its own metrics.
func (t *till) goroutines(ctx context.Context) (float64, error) {
	data, _, err := t.get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if n, ok := strings.CutPrefix(line, "go_goroutines "); ok {
			return strconv.ParseFloat(strings.TrimSpace(n), 64)
		}
	}
	return 0, fmt.Errorf("/metrics tells no goroutines")
}
