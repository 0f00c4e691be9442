// Package once sends one request over one new connection, and knows whether a
// byte of it left. It is not net/http's Transport, since that one may send a
// request again by itself when a kept connection turns out to be dead; here
// there is nothing that could.
package once

import (
	"bufio"
	"bytes"
	"context"
	"errors"
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
	MaxBody    = 1 << 20 // bytes
	maxHeaders = 64 << 10
	maxInterim = 8 // answers of the 1xx kind before the real one
)

// Line is the way to one register.
type Line struct {
	Addr    netip.AddrPort
	Connect time.Duration // until the connection stands
}

// Request is one HTTP POST.
type Request struct {
	Path string
	Type string // of the content
	Body []byte
	Wait time.Duration // from the connection until the answer is read
	Name string        // of what is asked, for errors and crash points
	Most int64         // bytes of the answer's body; 0: MaxBody
}

// ErrTooLong is wrapped where the answer is longer than it may be.
var ErrTooLong = errors.New("answer is too long")

// Answer is what came back, as far as it came.
type Answer struct {
	Left bool   // whether a byte of the request may have left us
	Body []byte // what was read of the answer's body
	Err  error  // what went wrong; the body may be whole all the same
}

// Post sends the request and reads the answer. The HTTP status is only told in
// the error, since it decides nothing.
func (l Line) Post(ctx context.Context, q Request) (a Answer) {
	if err := ctx.Err(); err != nil {
		return Answer{Err: fmt.Errorf("post %s to %s: %w", q.Name, l.Addr, err)}
	}
	dialer := net.Dialer{Timeout: l.Connect, KeepAlive: -1}
	conn, err := dialer.DialContext(ctx, "tcp", l.Addr.String())
	if err != nil {
		return Answer{Err: fmt.Errorf("connect to register at %s: %w", l.Addr, err)}
	}
	defer conn.Close() //nolint:errcheck // the answer is read or lost by then

	deadline := time.Now().Add(q.Wait)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return Answer{Err: fmt.Errorf("post %s to %s: %w", q.Name, l.Addr, err)}
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() }) //nolint:errcheck // it only unblocks the calls below
	defer stop()

	n, err := crash.Write(conn, l.request(q), q.Name)
	if err != nil {
		return Answer{Left: n > 0, Err: l.failed(ctx, "send", q.Name, err)}
	}
	a.Left = true
	most := q.Most
	if most <= 0 {
		most = MaxBody
	}
	a.Body, err = read(conn, most)
	if err != nil {
		a.Err = l.failed(ctx, "read answer of", q.Name, err)
	}
	return a
}

func (l Line) failed(ctx context.Context, what, name string, err error) error {
	if c := ctx.Err(); c != nil {
		err = c // the connection was closed for this
	}
	return fmt.Errorf("%s %s at %s: %w", what, name, l.Addr, err)
}

func (l Line) request(q Request) []byte {
	var b bytes.Buffer
	b.WriteString("POST " + q.Path + " HTTP/1.1\r\n")
	b.WriteString("Host: " + l.Addr.String() + "\r\n")
	b.WriteString("User-Agent: ekassa\r\n")
	b.WriteString("Accept: application/json\r\n")
	b.WriteString("Content-Type: " + q.Type + "\r\n")
	b.WriteString("Content-Length: " + strconv.Itoa(len(q.Body)) + "\r\n")
	b.WriteString("Connection: close\r\n\r\n")
	b.Write(q.Body)
	return b.Bytes()
}

// read reads the answer's body. What was read is given even where the answer
// broke off: JSON tells by itself whether it is whole.
func read(conn io.Reader, most int64) ([]byte, error) {
	in := bufio.NewReader(io.LimitReader(conn, maxHeaders+most))
	post := &http.Request{Method: http.MethodPost}
	for range maxInterim {
		answer, err := http.ReadResponse(in, post)
		if err != nil {
			return nil, fmt.Errorf("read headers: %w", err)
		}
		if answer.StatusCode/100 == 1 {
			continue
		}
		body, err := io.ReadAll(io.LimitReader(answer.Body, most+1))
		if int64(len(body)) > most { // whatever else is wrong with it, so that one answer always means one thing
			body, err = nil, fmt.Errorf("%w: over %d bytes", ErrTooLong, most)
		}
		if err != nil {
			return body, fmt.Errorf("read body of HTTP %d: %w", answer.StatusCode, err)
		}
		return body, nil
	}
	return nil, errors.New("only interim answers came")
}
