package slip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Problem is why a slip did not come out.
type Problem string

// The problems of a printer.
const (
	Unreachable Problem = "unreachable" // nothing answers at its address
	NoPaper     Problem = "no_paper"
	CoverOpen   Problem = "cover_open"
	Broken      Problem = "broken"    // it says that it has an error
	CutShort    Problem = "cut_short" // it hung up, or took no more, in the middle of a slip
)

// PrinterError says what was the matter with the printer.
type PrinterError struct {
	Problem Problem
	Sent    bool // something of the slip was sent: it may have come out
	Err     error
}

func (e *PrinterError) Error() string {
	s := "receipt printer: " + string(e.Problem)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *PrinterError) Unwrap() error { return e.Err }

// Patience with a printer. It has no answer to wait for: who takes the bytes
// prints them.
const (
	dialTime   = 3 * time.Second
	statusTime = 700 * time.Millisecond // many never answer
	sendTime   = 20 * time.Second       // the slowest take 50 mm a second
	finishTime = 5 * time.Second        // many never hang up first
)

// connect reaches the printer and asks how it is. Many printers do not answer
// that, which is no error.
func connect(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTime}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, &PrinterError{Problem: Unreachable, Err: err}
	}
	for _, ask := range [][]byte{paper, cause} {
		status, ok, err := question(conn, ask)
		if err == nil && ok {
			if p := problemIn(ask, status); p != "" {
				err = &PrinterError{Problem: p}
			}
		}
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		if !ok {
			break
		}
	}
	return conn, nil
}

// question gives the one byte of an answer; ok is false where none came.
func question(conn net.Conn, ask []byte) (status byte, ok bool, err error) {
	var answer [1]byte
	err = conn.SetDeadline(time.Now().Add(statusTime))
	if err == nil {
		_, err = conn.Write(ask)
	}
	if err == nil {
		_, err = conn.Read(answer[:])
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, &PrinterError{Problem: Unreachable, Err: err}
	}
	return answer[0], answer[0]&0b1001_0011 == 0b0001_0010, nil // these bits are always so
}

func problemIn(ask []byte, status byte) Problem {
	switch {
	case ask[2] == paper[2] && status&0x60 != 0, ask[2] == cause[2] && status&0x20 != 0:
		return NoPaper
	case ask[2] == cause[2] && status&0x04 != 0:
		return CoverOpen
	case ask[2] == cause[2] && status&0x40 != 0:
		return Broken
	}
	return ""
}

// Probe says whether a printer is there and ready. It prints nothing.
func Probe(ctx context.Context, addr string) error {
	conn, err := connect(ctx, addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// send prints. The error is a *PrinterError.
func send(ctx context.Context, addr string, data []byte) error {
	conn, err := connect(ctx, addr)
	if err != nil {
		var p *PrinterError
		if errors.As(err, &p) {
			return p
		}
		return &PrinterError{Problem: Unreachable, Err: err}
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	err = conn.SetDeadline(time.Now().Add(sendTime))
	if err == nil {
		_, err = conn.Write(data)
	}
	if err == nil {
		err = finish(conn)
	}
	if err = errors.Join(err, conn.Close()); err != nil {
		return &PrinterError{Problem: CutShort, Sent: true, Err: fmt.Errorf("print: %w", err)}
	}
	return nil
}

// finish says that this was all and gives the printer time to hang up first: who
// closes a connection with an unread late answer in it resets it, and the last of
// the slip may be lost.
func finish(conn net.Conn) error {
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(finishTime)); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, conn)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return nil
	}
	return err
}
