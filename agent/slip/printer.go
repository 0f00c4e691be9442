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
	statusTime = 3 * time.Second  // no till waits for it
	sendTime   = 20 * time.Second // the slowest take 50 mm a second
	finishTime = 5 * time.Second  // many never hang up first
)

// questions are what a printer is asked, in this order.
var questions = [][]byte{paper, cause}

// device is a printer, and what is known of its manners. It is for one at a time.
type device struct {
	addr string
	mute [5]bool // by the question's number: it was left unanswered, so it is asked all the same, and not waited for
}

// visit is a connection to it.
type visit struct {
	net.Conn
	open [][]byte // questions that may still be answered
}

// connect reaches the printer and asks how it is. Many printers do not answer
// that, which is no error.
func (d *device) connect(ctx context.Context) (*visit, error) {
	dialer := net.Dialer{Timeout: dialTime}
	conn, err := dialer.DialContext(ctx, "tcp", d.addr)
	if err != nil {
		return nil, &PrinterError{Problem: Unreachable, Err: err}
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	v := &visit{Conn: conn}
	for n, ask := range questions {
		status, ok, err := question(conn, ask, d.mute[ask[2]])
		if err == nil && ok {
			if p := problemIn(ask, status); p != "" {
				err = &PrinterError{Problem: p}
			}
		}
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		if !ok {
			v.open = append(v.open, ask)
			for _, next := range questions[n:] { // one silence is long enough
				d.mute[next[2]] = true
			}
		}
	}
	return v, nil
}

// late reads answers that came while it printed.
func (d *device) late(v *visit, answers []byte) error {
	for n, ask := range v.open[:min(len(v.open), len(answers))] {
		if !isStatus(answers[n]) {
			break
		}
		d.mute[ask[2]] = false
		if p := problemIn(ask, answers[n]); p != "" {
			return &PrinterError{Problem: p, Sent: true, Err: errors.New("it said so while the slip was sent")}
		}
	}
	return nil
}

// question gives the one byte of an answer; ok is false where none came, or was not
// waited for.
func question(conn net.Conn, ask []byte, onlyAsk bool) (status byte, ok bool, err error) {
	var answer [1]byte
	err = conn.SetDeadline(time.Now().Add(statusTime))
	if err == nil {
		_, err = conn.Write(ask)
	}
	if err == nil && !onlyAsk {
		_, err = conn.Read(answer[:])
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, &PrinterError{Problem: Unreachable, Err: err}
	}
	return answer[0], isStatus(answer[0]), nil
}

// isStatus: these bits are always so.
func isStatus(b byte) bool { return b&0b1001_0011 == 0b0001_0010 }

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
	conn, err := (&device{addr: addr}).connect(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

// send prints. The error is a *PrinterError.
func (d *device) send(ctx context.Context, data []byte) error {
	conn, err := d.connect(ctx)
	if err != nil {
		var p *PrinterError
		if errors.As(err, &p) {
			return p
		}
		return &PrinterError{Problem: Unreachable, Err: err}
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var answers []byte
	err = conn.SetDeadline(time.Now().Add(sendTime))
	if err == nil {
		_, err = conn.Write(data)
	}
	if err == nil {
		answers, err = finish(conn.Conn)
	}
	if err = errors.Join(err, conn.Close()); err != nil {
		return &PrinterError{Problem: CutShort, Sent: true, Err: fmt.Errorf("print: %w", err)}
	}
	return d.late(conn, answers)
}

// finish says that this was all and gives the printer time to hang up first: who
// closes a connection with an unread late answer in it resets it, and the last of
// the slip may be lost. It gives those answers.
func finish(conn net.Conn) (answers []byte, err error) {
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return nil, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(finishTime)); err != nil {
		return nil, err
	}
	answers, err = io.ReadAll(io.LimitReader(conn, int64(len(questions))))
	if err == nil { // whoever talks on is not listened to
		_, err = io.Copy(io.Discard, conn)
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return answers, nil
	}
	return answers, err
}
