package once

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzRead reads anything as a register's HTTP answer, whole and byte by byte.
// What it holds: a body never is longer than it may be, is part of what came, and
// the same bytes always mean the same.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 500 No\r\n\r\n{\"code\":0}", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
		"HTTP/1.0 204 x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", strings.Repeat("HTTP/1.1 102 x\r\n\r\n", 9), "{}",
		"HTTP/1.1 200 \nTransfer-Encoding:chunked\n\n2\r\n\r\n0\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
	} {
		f.Add([]byte(s), int64(64))
		f.Add([]byte(s), int64(1))
	}
	f.Fuzz(func(t *testing.T, came []byte, most int64) {
		if most <= 0 || most > MaxBody {
			return
		}
		body, err := read(bytes.NewReader(came), most)
		if int64(len(body)) > most || errors.Is(err, ErrTooLong) && body != nil {
			t.Errorf("%d bytes of at most %d, %v", len(body), most, err)
		}
		if !bytes.Contains(bytes.ToLower(came), []byte("chunked")) && !bytes.Contains(came, body) {
			t.Errorf("%q was made of %q", body, came)
		}
		again, other := read(iotest.OneByteReader(bytes.NewReader(came)), most)
		if !bytes.Equal(again, body) || (err == nil) != (other == nil) {
			t.Errorf("%q: %q %v, then %q %v", came, body, err, again, other)
		}
	})
}
