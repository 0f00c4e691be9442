package slip

import (
	"bytes"
	"image"
)

// The commands of ESC/POS that are used: those that every printer has.
var (
	reset  = []byte{0x1b, '@'}
	feed   = []byte{0x1b, 'd', 3}      // lines
	cut    = []byte{0x1d, 'V', 'B', 0} // feeds to the knife and cuts; printers without a knife feed
	raster = []byte{0x1d, 'v', '0', 0} // then width in bytes and height in dots, low byte first, and the dots
	paper  = []byte{0x10, 0x04, 0x04}  // asks for the paper's sensor, at once
	cause  = []byte{0x10, 0x04, 0x02}  // asks why it is offline, at once
)

// band is how many rows are printed at a time: more than that does not fit into
// the memory of the smallest printers.
const band = 128

// encode makes the printer's commands of a picture: dark dots are burnt.
func encode(img *image.Gray) []byte {
	var b bytes.Buffer
	b.Write(reset)
	width := (img.Rect.Dx() + 7) / 8
	for top := img.Rect.Min.Y; top < img.Rect.Max.Y; top += band {
		rows := min(band, img.Rect.Max.Y-top)
		b.Write(raster)
		b.Write([]byte{byte(width), byte(width >> 8), byte(rows), byte(rows >> 8)})
		for y := top; y < top+rows; y++ {
			line := make([]byte, width)
			start := img.PixOffset(img.Rect.Min.X, y)
			for x, dot := range img.Pix[start : start+img.Rect.Dx()] {
				if dot < 0x80 {
					line[x/8] |= 0x80 >> (x % 8)
				}
			}
			b.Write(line)
		}
	}
	b.Write(feed)
	b.Write(cut)
	return b.Bytes()
}
