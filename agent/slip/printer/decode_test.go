package printer

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

func decode(data []byte) (papers []Paper, asked []byte, err error) {
	d := decoder{
		in: bufio.NewReader(bytes.NewReader(data)), cut: func(p Paper) { papers = append(papers, p) },
		answer: func(q byte) { asked = append(asked, q) },
	}
	err = d.run()
	return papers, asked, err
}

func TestDecode(t *testing.T) {
	picture := "\x1dv0\x00\x02\x00\x03\x00" + "\x80\x01" + "\x00\x00" + "\xff\xff"
	papers, asked, err := decode([]byte("\x1b@\x10\x04\x04" + picture + "Salam\n\x1dVB\x00" + picture + "\x1dV1"))
	if err != nil || len(papers) != 2 || string(asked) != "\x04" {
		t.Fatalf("%d papers, asked %q, %v", len(papers), asked, err)
	}
	img := papers[0].Image
	if img.Rect.Dx() != 16 || img.Rect.Dy() != 33 || papers[0].Text != "Salam" {
		t.Errorf("%v %q", img.Rect, papers[0].Text)
	}
	for dot, dark := range map[[2]int]bool{{0, 0}: true, {1, 0}: false, {15, 0}: true, {0, 1}: false, {7, 2}: true, {7, 3}: false} {
		if got := img.GrayAt(dot[0], dot[1]).Y == 0; got != dark {
			t.Errorf("dot %v is dark: %t", dot, got)
		}
	}
	for _, bad := range []string{"\x1dv0\x00\x02\x00\x03\x00\x80", "\x1b", "\x1bX", "\x1dv0\x00\x00\x00\x01\x00", "\x10\x05\x01", "\x1dv0\x00\xff\xff\x01\x00", strings.Repeat("\x1bd\xff", 5)} {
		if _, _, err := decode([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// FuzzDecode: whatever is sent, nothing breaks, and no paper is longer than there is.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x1b@\x1dv0\x00\x01\x00\x01\x00\xaa\x1bd\x03\x1dVB\x00"))
	f.Add([]byte("\x10\x04\x01\n\x1dV0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		papers, _, _ := decode(data)
		for _, p := range papers {
			if p.Image.Rect.Dy() > maxRows || p.Image.Rect.Dx() > 8*maxBytes {
				t.Errorf("a paper of %v", p.Image.Rect)
			}
		}
	})
}
