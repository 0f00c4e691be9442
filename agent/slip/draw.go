package slip

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"strconv"
	"strings"
	"unicode/utf8"

	"codeberg.org/go-fonts/dejavu/dejavusanscondensedbold"
	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"rsc.io/qr"
)

// Dots of a line, by the width of the paper in millimetres: 203 dots an inch.
var dots = map[int]int{58: 384, 80: 576}

// The face is DejaVu Sans: free, and it has all Azerbaijani and Russian letters, which
// Go's own font has not. Bold, since thermal printers eat thin strokes.
var face = func() *opentype.Font {
	f, err := opentype.Parse(dejavusanscondensedbold.TTF)
	if err != nil {
		panic(err) // it is part of the program
	}
	return f
}()

// canvas is paper that grows downwards, in dots.
type canvas struct {
	img   *image.Gray
	y     int
	faces map[float64]font.Face
}

func newCanvas(width int) *canvas {
	return &canvas{img: image.NewGray(image.Rect(0, 0, width, 0)), faces: map[float64]font.Face{}}
}

func (c *canvas) width() int { return c.img.Rect.Dx() }

// grow makes room for so many rows more, white.
func (c *canvas) grow(rows int) {
	need := c.y + rows
	if have := c.img.Rect.Dy(); need > have {
		bigger := image.NewGray(image.Rect(0, 0, c.width(), max(need, 2*have)))
		draw.Draw(bigger, bigger.Rect, image.White, image.Point{}, draw.Src)
		copy(bigger.Pix, c.img.Pix[:c.y*c.img.Stride])
		c.img = bigger
	}
}

func (c *canvas) face(size float64) font.Face {
	f, ok := c.faces[size]
	if !ok {
		var err error
		f, err = opentype.NewFace(face, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingFull})
		if err != nil {
			panic(err) // of the options, which are ours
		}
		c.faces[size] = f
	}
	return f
}

// Where a text stands in its line.
type place int

const (
	left place = iota
	middle
	right
)

func (c *canvas) put(f font.Face, s string, at place, ink color.Color) {
	w := font.MeasureString(f, s).Ceil()
	x := map[place]int{left: 0, middle: (c.width() - w) / 2, right: c.width() - w}[at]
	d := font.Drawer{Dst: c.img, Src: image.NewUniform(ink), Face: f, Dot: fixed.P(max(0, x), c.y+f.Metrics().Ascent.Ceil())}
	d.DrawString(s)
}

func lineHeight(f font.Face) int { return f.Metrics().Height.Ceil() }

// text prints lines as wide as the paper.
func (c *canvas) text(size float64, at place, s string) {
	f := c.face(size)
	for _, line := range wrap(f, s, c.width()) {
		c.grow(lineHeight(f))
		c.put(f, line, at, color.Black)
		c.y += lineHeight(f)
	}
}

// pair prints one text at the left and one at the right, the left one in more
// lines where it is long.
func (c *canvas) pair(size float64, l, r string) {
	f := c.face(size)
	room := c.width() - font.MeasureString(f, "  "+r).Ceil()
	lines := wrap(f, l, max(room, c.width()/3))
	for n, line := range lines {
		c.grow(lineHeight(f))
		c.put(f, line, left, color.Black)
		if n == len(lines)-1 {
			c.put(f, r, right, color.Black)
		}
		c.y += lineHeight(f)
	}
}

// banner prints white on black: nobody takes it for small print.
func (c *canvas) banner(size float64, s string) {
	f := c.face(size)
	lines := wrap(f, s, c.width()-16)
	const edge = 10
	rows := len(lines)*lineHeight(f) + 2*edge
	c.grow(rows)
	draw.Draw(c.img, image.Rect(0, c.y, c.width(), c.y+rows), image.Black, image.Point{}, draw.Src)
	c.y += edge
	for _, line := range lines {
		c.put(f, line, middle, color.White)
		c.y += lineHeight(f)
	}
	c.y += edge
}

func (c *canvas) gap(rows int) { c.grow(rows); c.y += rows }

func (c *canvas) rule() {
	c.gap(8)
	c.grow(2)
	draw.Draw(c.img, image.Rect(0, c.y, c.width(), c.y+2), image.Black, image.Point{}, draw.Src)
	c.y += 2
	c.gap(8)
}

// code prints a QR code, as large as phones like it.
func (c *canvas) code(content string) error {
	code, err := qr.Encode(content, qr.M)
	if err != nil {
		return fmt.Errorf("draw the QR code: %w", err)
	}
	const quiet = 4 // modules that readers need around it
	scale := max(1, min(8, c.width()/(code.Size+2*quiet)))
	from := (c.width() - code.Size*scale) / 2
	c.gap(quiet * scale)
	c.grow(code.Size * scale)
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				at := image.Rect(from+x*scale, c.y+y*scale, from+(x+1)*scale, c.y+(y+1)*scale)
				draw.Draw(c.img, at, image.Black, image.Point{}, draw.Src)
			}
		}
	}
	c.y += code.Size * scale
	c.gap(quiet * scale)
	return nil
}

// picture is what was printed so far.
func (c *canvas) picture() *image.Gray {
	return c.img.SubImage(image.Rect(0, 0, c.width(), c.y)).(*image.Gray)
}

// wrap breaks text at spaces, and within words that are too long for a line.
func wrap(f font.Face, s string, width int) (lines []string) {
	room := fixed.I(width)
	space, _ := f.GlyphAdvance(' ')
	line, used := "", fixed.Int26_6(0)
	for _, word := range strings.Fields(s) {
		w := font.MeasureString(f, word)
		if line != "" && used+space+w <= room {
			line, used = line+" "+word, used+space+w
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		line, used = word, w
		for used > room {
			n, part := 0, fixed.Int26_6(0)
			for i, r := range line {
				advance, _ := f.GlyphAdvance(r)
				if part+advance > room && i > 0 {
					break
				}
				n, part = i+utf8.RuneLen(r), part+advance
			}
			if n >= len(line) { // kerning makes it fit, or one letter does not
				break
			}
			lines, line = append(lines, line[:n]), line[n:]
			used = font.MeasureString(f, line)
		}
	}
	return append(lines, line)
}

// Draw gives the slip as a picture, black on white, for paper of so many
// millimetres (58 or 80).
func (s Slip) Draw(paper int) (*image.Gray, error) {
	c := newCanvas(dots[paper])
	small, big := 22.0, 40.0
	if c.width() < 500 {
		small, big = 20, 32
	}
	c.banner(big, s.say("slip.not_fiscal"))
	c.gap(10)
	if shop := clean(s.Shop); shop != "" {
		c.text(small+4, middle, shop)
	}
	c.pair(small, s.say("slip.number"), clean(s.number()))
	c.pair(small, s.say("slip.time"), s.Of.Time.In(s.Zone).Format("02.01.2006 15:04"))
	if till := clean(s.Till); till != "" {
		c.pair(small, s.say("slip.till"), till)
	}
	c.rule()
	for n, i := range s.Of.Items {
		if n == maxLines {
			c.text(small, left, "… + "+strconv.Itoa(len(s.Of.Items)-n))
			break
		}
		c.text(small, left, clean(i.Name))
		c.pair(small, "   "+i.Quantity.String()+" × "+i.Price.String(), i.Total().String())
	}
	c.rule()
	c.pair(small+10, s.say("slip.total"), s.Of.Total().String()+" AZN")
	c.gap(10)
	c.text(small, middle, s.say("slip.why"))
	if s.Link != "" {
		c.gap(6)
		c.text(small, middle, s.say("slip.scan"))
		if err := c.code(s.Link); err != nil {
			return nil, err
		}
		c.text(small-4, middle, s.Link)
	} else {
		c.text(small, middle, s.say("slip.ask"))
	}
	c.gap(10)
	c.banner(big, s.say("slip.not_fiscal"))
	return c.picture(), nil
}
