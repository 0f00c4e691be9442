package azsmart

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"ekassa/agent/crash"
)

// Bounds of an answer.
const (
	maxBody    = 1 << 20
	maxHeaders = 64 << 10
	maxInterim = 8 // answers of the 1xx kind before the real one
)

// transport sends one request over one new connection. It is not net/http's
// Transport, since that one may send a request again by itself when a kept
// connection turns out to be dead; here there is nothing that could.
type transport struct {
	addr    netip.AddrPort
	connect time.Duration
}

// reply is what came back, as far as it came.
type reply struct {
	left bool   // whether a byte of the request may have left us
	body []byte // what was read of the answer's body
	err  error  // what went wrong; the body may be whole all the same
}

// post sends the form to the route and reads the answer. The HTTP status is
// only told in the error, since it decides nothing (section 4).
func (t transport) post(ctx context.Context, route string, form []byte, wait time.Duration) (r reply) {
	if err := ctx.Err(); err != nil {
		return reply{err: fmt.Errorf("post /%s to %s: %w", route, t.addr, err)}
	}
	dialer := net.Dialer{Timeout: t.connect, KeepAlive: -1}
	conn, err := dialer.DialContext(ctx, "tcp", t.addr.String())
	if err != nil {
		return reply{err: fmt.Errorf("connect to register at %s: %w", t.addr, err)}
	}
	defer conn.Close() //nolint:errcheck // the answer is read or lost by then

	deadline := time.Now().Add(wait)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return reply{err: fmt.Errorf("post /%s to %s: %w", route, t.addr, err)}
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() }) //nolint:errcheck // it only unblocks the calls below
	defer stop()

	n, err := crash.Write(conn, t.request(route, form), route)
	if err != nil {
		return reply{left: n > 0, err: t.failed(ctx, "send", route, err)}
	}
	r.left = true
	r.body, err = read(conn)
	if err != nil {
		r.err = t.failed(ctx, "read answer of", route, err)
	}
	return r
}

func (t transport) failed(ctx context.Context, what, route string, err error) error {
	if c := ctx.Err(); c != nil {
		err = c // the connection was closed for this
	}
	return fmt.Errorf("%s /%s at %s: %w", what, route, t.addr, err)
}

func (t transport) request(route string, form []byte) []byte {
	var b bytes.Buffer
	b.WriteString("POST /" + route + " HTTP/1.1\r\n")
	b.WriteString("Host: " + t.addr.String() + "\r\n")
	b.WriteString("User-Agent: ekassa\r\n")
	b.WriteString("Accept: application/json\r\n")
	b.WriteString("Content-Type: application/x-www-form-urlencoded\r\n")
	b.WriteString("Content-Length: " + strconv.Itoa(len(form)) + "\r\n")
	b.WriteString("Connection: close\r\n\r\n")
	b.Write(form)
	return b.Bytes()
}

// read reads the answer's body. What was read is given even where the answer
// broke off: JSON tells by itself whether it is whole.
func read(conn io.Reader) ([]byte, error) {
	in := bufio.NewReader(io.LimitReader(conn, maxHeaders+maxBody))
	post := &http.Request{Method: http.MethodPost}
	for range maxInterim {
		answer, err := http.ReadResponse(in, post)
		if err != nil {
			return nil, fmt.Errorf("read headers: %w", err)
		}
		if answer.StatusCode/100 == 1 {
			continue
		}
		body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody+1))
		if err == nil && len(body) > maxBody {
			body, err = nil, fmt.Errorf("answer is over %d bytes", maxBody)
		}
		if err != nil {
			return body, fmt.Errorf("read body of HTTP %d: %w", answer.StatusCode, err)
		}
		return body, nil
	}
	return nil, fmt.Errorf("only interim answers came")
}
