package qr

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

const text = "https://monitoring.e-kassa.gov.az/#/index?doc=3ELCWsYaD4nX"

// Both drawings are of one code: the picture's dark runs are the terminal's gaps.
func TestBothDrawTheSameCode(t *testing.T) {
	svg, err := SVG(text)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("not XML: %v", err)
		}
	}
	// Finder patterns stand in three corners: seven dark modules in the first row.
	if n := strings.Count(string(svg), "M4 4h7"); n != 1 {
		t.Errorf("the first finder pattern is there %d times", n)
	}
	var out strings.Builder
	if err := Blocks(&out, text); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if first := []rune(lines[0]); strings.Trim(string(first), "█") != "" {
		t.Errorf("no quiet zone above: %q", string(first))
	}
	if row := []rune(lines[1]); string(row[:9]) != "██ ▄▄▄▄▄ " {
		t.Errorf("no finder pattern in the corner: %q", string(row))
	}
}

func TestWhatIsTooLongIsSaid(t *testing.T) {
	long := strings.Repeat("x", 5000)
	if _, err := SVG(long); err == nil {
		t.Error("drawn")
	}
	if err := Blocks(io.Discard, long); err == nil {
		t.Error("drawn")
	}
}
