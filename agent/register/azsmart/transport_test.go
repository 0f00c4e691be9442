package azsmart

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ekassa/agent/register"
	"ekassa/agent/register/once"
)

// cutServer is a server that reads a request as far as the test wants and answers
// with raw bytes. It counts connections and whole bodies.
type cutServer struct {
	listener    net.Listener
	connections atomic.Int64
	bodies      atomic.Int64
}

func serve(t *testing.T, handle func(c net.Conn, read func())) *cutServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &cutServer{listener: l}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.connections.Add(1)
			handle(c, func() {
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil {
					return
				}
				if b, err := io.ReadAll(r.Body); err == nil && len(b) > 0 {
					s.bodies.Add(1)
				}
			})
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return s
}

func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
}

const success = `{"status":"success","code":0,"documentID":41,"fiscalID":"AbC123dEf4567","docStatus":1}`

func http200(body string, length int) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s", length, body)
}

func TestSend_NeverTwiceWhereverTheLineIsCut(t *testing.T) {
	whole := http200(success, len(success))
	type cut struct {
		name   string
		handle func(c net.Conn, read func())
		want   register.Verdict
	}
	write := func(s string) func(net.Conn, func()) {
		return func(c net.Conn, read func()) {
			read()
			_, _ = io.WriteString(c, s)
		}
	}
	cuts := []cut{
		{"at once", func(c net.Conn, _ func()) {}, register.Unknown},
		{"reset at once", func(c net.Conn, _ func()) { reset(c) }, register.Unknown},
		{"after the request, reset", func(c net.Conn, read func()) { read(); reset(c) }, register.Unknown},
		{"within the request", func(c net.Conn, _ func()) { _, _ = io.ReadFull(c, make([]byte, 60)); reset(c) }, register.Unknown},
		{"whole", write(whole), register.Made},
		{"whole, reset afterwards", func(c net.Conn, read func()) {
			write(whole)(c, read)
			time.Sleep(20 * time.Millisecond)
			reset(c)
		}, register.Made},
		{"whole, HTTP/1.0 without a length", write("HTTP/1.0 200 OK\r\n\r\n" + success), register.Made},
		{"whole, after 100 Continue", write("HTTP/1.1 100 Continue\r\n\r\n" + whole), register.Made},
		{"whole, longer length promised", write(http200(success, 2*len(success))), register.Made},
		{"whole in chunks without an end", write(fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(success), success)), register.Made},
		{"length too short", write(http200(success, len(success)-5)), register.Unknown},
		{"HTTP 500 with the success", write(strings.Replace(whole, "200 OK", "500 Oops", 1)), register.Made},
		{"HTTP 500 without a body", write("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"), register.Unknown},
		{"a redirect", write("HTTP/1.1 307 Go\r\nLocation: /sale\r\nContent-Length: 0\r\n\r\n"), register.Unknown},
		{"no HTTP", write(success), register.Unknown},
		{"only interim answers", write(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 50)), register.Unknown},
		{"too long an answer", write(http200(success+strings.Repeat(" ", once.MaxBody), len(success)+once.MaxBody)), register.Unknown},
		{"endless headers", write("HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 1500)), register.Unknown},
	}
	for n := 1; n < len(whole); n += 7 {
		cuts = append(cuts, cut{fmt.Sprintf("%d bytes into the answer", n), write(whole[:n]), register.Unknown})
	}
	for _, c := range cuts {
		s := serve(t, c.handle)
		d := New(Config{Addr: addrOf(t, s.listener.Addr().String()), MerchantID: merchant, Document: 5 * time.Second})
		o := d.Send(context.Background(), requests(t, d)["sale"])
		if o.Verdict == register.NotSent && c.name == "reset at once" {
			c.want = register.NotSent // the reset may come before the first byte is taken
		}
		if o.Verdict != c.want || o.Verdict != register.Made && o.Err == nil {
			t.Errorf("cut %s: %s (%v), want %s", c.name, o.Verdict, o.Err, c.want)
		}
		time.Sleep(time.Millisecond)
		if s.connections.Load() != 1 || s.bodies.Load() > 1 {
			t.Errorf("cut %s: %d connections, %d bodies", c.name, s.connections.Load(), s.bodies.Load())
		}
	}
}

func TestSend_AfterAKeptConnectionDied(t *testing.T) {
	// The server promises to keep the connection and then drops it: a second
	// order must come over its own connection, once.
	s := serve(t, func(c net.Conn, read func()) {
		read()
		_, _ = io.WriteString(c, strings.Replace(http200(success, len(success)), "200 OK\r\n", "200 OK\r\nConnection: keep-alive\r\n", 1))
	})
	d := New(Config{Addr: addrOf(t, s.listener.Addr().String())})
	for n := int64(1); n <= 5; n++ {
		if o := d.Send(context.Background(), requests(t, d)["sale"]); o.Verdict != register.Made {
			t.Errorf("order %d: %s (%v)", n, o.Verdict, o.Err)
		}
		if s.connections.Load() != n || s.bodies.Load() != n {
			t.Errorf("after order %d: %d connections, %d bodies", n, s.connections.Load(), s.bodies.Load())
		}
	}
}

func TestSend_NotSentOnlyWhereNobodyListens(t *testing.T) {
	s := serve(t, func(net.Conn, func()) {})
	addr := addrOf(t, s.listener.Addr().String())
	_ = s.listener.Close()
	d := New(Config{Addr: addr})
	o := d.Send(context.Background(), requests(t, d)["sale"])
	if o.Verdict != register.NotSent || o.Cause != register.Unreachable || !strings.Contains(o.Err.Error(), "connect") {
		t.Errorf("connection refused: %+v", o)
	}
	if _, err := d.Shift(context.Background()); causeIs(err) != register.Unreachable {
		t.Errorf("a question to nobody: %v", err)
	}

	over, cancel := context.WithCancel(context.Background())
	cancel()
	if o := d.Send(over, requests(t, d)["sale"]); o.Verdict != register.NotSent {
		t.Errorf("over before it began: %+v", o)
	}
}

func TestSend_TimesOutAsUnknown(t *testing.T) {
	hold := make(chan struct{})
	s := serve(t, func(_ net.Conn, read func()) { read(); <-hold })
	t.Cleanup(func() { close(hold) })
	d := New(Config{Addr: addrOf(t, s.listener.Addr().String()), Document: 2 * time.Second})
	if o := d.Send(context.Background(), requests(t, d)["sale"]); o.Verdict != register.Unknown || o.Cause != register.Unreachable {
		t.Errorf("no answer in time: %+v", o)
	}
}

func TestSend_ObeysTheContext(t *testing.T) {
	hold := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := serve(t, func(_ net.Conn, read func()) { read(); cancel(); <-hold })
	t.Cleanup(func() { close(hold) })
	d := New(Config{Addr: addrOf(t, s.listener.Addr().String())})
	start := time.Now()
	o := d.Send(ctx, requests(t, d)["sale"])
	if o.Verdict != register.Unknown || time.Since(start) > 5*time.Second || !strings.Contains(o.Err.Error(), "canceled") {
		t.Errorf("cancelled while it waited: %+v", o)
	}
}
