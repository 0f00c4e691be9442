// Package printer is a receipt printer in software: it takes ESC/POS at a TCP
// port as the printers in kitchens and at counters do, and keeps each paper that
// it cuts as a picture. It knows the commands of the published ESC/POS reference
// that pictures need, answers questions about its paper and cover, and can be out
// of paper, open, mute or gone.
package printer

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"io"
)

// Paper is what was printed between two cuts.
type Paper struct {
	Image *image.Gray // black on white
	Text  string      // what was sent as letters, as bytes
}

// Limits of what one paper may be, so that nonsense exhausts nothing: 4 m, 1 KB a line.
const (
	maxRows  = 32_000
	maxBytes = 1 << 10
	maxText  = 1 << 16
)

// decoder reads commands, and draws what they print.
type decoder struct {
	in     *bufio.Reader
	answer func(question byte) // of DLE EOT
	cut    func(Paper)

	rows [][]byte // of dots, eight to a byte
	text []byte
}

// run reads until the end of the input. io.EOF between two commands is a clean end.
func (d *decoder) run() error {
	for {
		b, err := d.in.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := d.command(b); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
}

func (d *decoder) bytes(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(d.in, b)
	return b, err
}

func (d *decoder) command(b byte) error {
	switch b {
	case 0x10: // DLE
		c, err := d.bytes(2)
		if err != nil {
			return err
		}
		if c[0] != 0x04 {
			return fmt.Errorf("DLE %#02x is not known", c[0])
		}
		d.answer(c[1])
		return nil
	case 0x1b:
		return d.escape()
	case 0x1d:
		return d.group()
	case '\n':
		return d.feed(1)
	}
	if len(d.text) == maxText {
		return errors.New("too much text for one paper")
	}
	d.text = append(d.text, b)
	return nil
}

func (d *decoder) escape() error {
	c, err := d.in.ReadByte()
	if err != nil {
		return err
	}
	switch c {
	case '@': // begins anew
		return nil
	case 'd':
		n, err := d.in.ReadByte()
		if err != nil {
			return err
		}
		return d.feed(int(n))
	}
	return fmt.Errorf("ESC %#02x is not known", c)
}

func (d *decoder) group() error {
	c, err := d.bytes(2)
	if err != nil {
		return err
	}
	switch {
	case c[0] == 'v' && c[1] == '0':
		return d.raster()
	case c[0] == 'V' && (c[1] == 0 || c[1] == 1 || c[1] == '0' || c[1] == '1'):
		return d.finish()
	case c[0] == 'V' && (c[1] == 'A' || c[1] == 'B'):
		if _, err := d.in.ReadByte(); err != nil {
			return err
		}
		return d.finish()
	}
	return fmt.Errorf("GS %#02x %#02x is not known", c[0], c[1])
}

// raster is GS v 0: a picture, line by line.
func (d *decoder) raster() error {
	head, err := d.bytes(5)
	if err != nil {
		return err
	}
	width, rows := int(head[1])|int(head[2])<<8, int(head[3])|int(head[4])<<8
	if head[0]&^0x33 != 0 || width == 0 || width > maxBytes || rows == 0 {
		return fmt.Errorf("GS v 0 with mode %#02x, %d bytes a line, %d lines", head[0], width, rows)
	}
	if len(d.rows)+rows > maxRows {
		return errors.New("too long for one paper")
	}
	for range rows {
		line, err := d.bytes(width)
		if err != nil {
			return err
		}
		d.rows = append(d.rows, line)
	}
	return nil
}

// feed moves the paper; a line is 30 dots.
func (d *decoder) feed(lines int) error {
	if len(d.rows)+30*lines > maxRows {
		return errors.New("too long for one paper")
	}
	d.rows = append(d.rows, make([][]byte, 30*lines)...)
	return nil
}

func (d *decoder) finish() error {
	width := 1
	for _, r := range d.rows {
		width = max(width, len(r))
	}
	img := image.NewGray(image.Rect(0, 0, 8*width, max(1, len(d.rows))))
	for n := range img.Pix {
		img.Pix[n] = 0xff
	}
	for y, row := range d.rows {
		line := img.Pix[y*img.Stride:]
		for n, dots := range row {
			for bit := range 8 {
				if dots&(0x80>>bit) != 0 {
					line[8*n+bit] = 0
				}
			}
		}
	}
	d.cut(Paper{Image: img, Text: string(d.text)})
	d.rows, d.text = nil, nil
	return nil
}
