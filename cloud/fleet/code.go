package fleet

import (
	"crypto/rand"
	"strings"
)

// codeLetters are 32 that nobody mistakes for one another.
const codeLetters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

// NewCode gives a one-time code for an enrolment, such as KHZ4-9TQW-2MBC: 60
// random bits, easy to read out. It is stored as [HashCode] gives it.
func NewCode() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b) // never fails, or ends the program
	var s strings.Builder
	for i, c := range b {
		if i > 0 && i%4 == 0 {
			s.WriteByte('-')
		}
		s.WriteByte(codeLetters[c%32])
	}
	return s.String()
}

// HashCode gives what is stored of a code, however a person has typed it.
func HashCode(code string) string {
	return HashToken(strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToUpper(strings.TrimSpace(code))))
}
