// Package qr draws QR codes for screens: as a picture for a browser, and in the
// characters of a terminal.
package qr

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"rsc.io/qr"
)

// SVG is one path of black squares, with the quiet zone of four modules that
// readers need. Error: the text is too long.
func SVG(text string) ([]byte, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil, fmt.Errorf("draw a QR code: %w", err)
	}
	const quiet = 4
	var b bytes.Buffer
	side := code.Size + 2*quiet
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path d="`, side, side, side, side)
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, x-from, x-from)
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.Bytes(), nil
}

// Blocks writes it for a terminal with light letters on a dark ground, two modules
// in each character. Error: the text is too long, or the writer's.
func Blocks(w io.Writer, text string) error {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return fmt.Errorf("draw a QR code: %w", err)
	}
	const quiet = 2
	for y := -quiet; y < code.Size+quiet; y += 2 {
		var line strings.Builder
		for x := -quiet; x < code.Size+quiet; x++ {
			switch upper, lower := code.Black(x, y), code.Black(x, y+1); {
			case upper && lower:
				line.WriteRune(' ')
			case upper:
				line.WriteRune('▄')
			case lower:
				line.WriteRune('▀')
			default:
				line.WriteRune('█')
			}
		}
		if _, err := fmt.Fprintln(w, line.String()); err != nil {
			return err
		}
	}
	return nil
}
