// Package tokentext writes names as the fiscal token takes them: its characters
// and lengths are the same behind every maker's app (protocols/omnitech.md,
// section 7; AzSmart's page names none).
package tokentext

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The most characters that are sent: a name of 255 bytes, where no allowed
// letter takes more than two, a cashier, and an article's code.
const (
	NameLimit    = 127
	CashierLimit = 64
	CodeLimit    = 32
)

// allowed are the characters that the fiscal token takes in names, beside the
// Latin and the Russian alphabets and the digits.
const allowed = "ÇçƏəĞğIıİiÖöŞşÜü" + // Azerbaijani, Latin
	"ЁёҒғӘәЈјҜҝӨөҮүҺһҸҹЎў" + // Russian's last letter, and Azerbaijani in Cyrillic
	" !@#$%^&*()_-+=/,.<>`~"

// plain writes characters that registers refuse with ones that they take.
var plain = strings.NewReplacer(
	"\"", "`", "'", "`", "«", "`", "»", "`", "“", "`", "”", "`", "„", "`", "‟", "`", "‹", "`", "›", "`",
	"‘", "`", "’", "`", "‚", "`", "‛", "`", "ʼ", "`", "ʻ", "`", "′", "`", "″", "`", "´", "`",
	"‐", "-", "‑", "-", "‒", "-", "–", "-", "—", "-", "―", "-", "−", "-", "•", "-", "·", "-",
	"[", "(", "]", ")", "{", "(", "}", ")", "|", "/", "\\", "/", "⁄", "/", "÷", "/", "∕", "/",
	":", ".", ";", ",", "…", "...", "№", "No", "×", "x", "✕", "x", "°", "*", "º", "*", "±", "+-",
	"€", "EUR", "₼", "AZN", "₽", "RUB", "£", "GBP", "¥", "JPY", "™", "", "®", "", "©", "",
	"Ǝ", "Ə", "ǝ", "ə", "ɘ", "ə", "Ș", "Ş", "ș", "ş", "Ț", "T", "ț", "t",
	"ß", "ss", "ẞ", "SS", "Æ", "AE", "æ", "ae", "Œ", "OE", "œ", "oe", "Ø", "Ö", "ø", "ö",
	"Ł", "L", "ł", "l", "Đ", "D", "đ", "d", "Þ", "Th", "þ", "th", "Ð", "D", "ð", "d",
	"І", "I", "і", "i", "Ї", "I", "ї", "i", "Є", "Е", "є", "е", "Ґ", "Г", "ґ", "г",
	"Қ", "К", "қ", "к", "Ң", "Н", "ң", "н", "Ұ", "У", "ұ", "у",
)

// isAllowed says whether registers take the character in a name.
func isAllowed(r rune) bool {
	switch {
	case r >= '0' && r <= '9', r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z', r >= 'А' && r <= 'я':
		return true
	}
	return strings.ContainsRune(allowed, r)
}

// Clean gives the text with only allowed characters, blanks collapsed, at most
// limit characters long. Letters with marks that are not allowed lose the mark;
// what has no plain form is left out.
func Clean(s string, limit int) string {
	var b strings.Builder
	blank := false
	put := func(r rune) {
		if r == ' ' {
			blank = b.Len() > 0
			return
		}
		if blank {
			b.WriteByte(' ')
			blank = false
		}
		b.WriteRune(r)
	}
	for _, r := range norm.NFC.String(plain.Replace(norm.NFC.String(s))) {
		switch {
		case unicode.IsSpace(r) || unicode.Is(unicode.Zs, r):
			put(' ')
		case isAllowed(r):
			put(r)
		default:
			for _, d := range plain.Replace(norm.NFKD.String(string(r))) {
				if isAllowed(d) {
					put(d)
				}
			}
		}
	}
	return Cut(b.String(), limit)
}

// Cut keeps the first limit characters. In cleaned text a letter is one
// character, so none is split.
func Cut(s string, limit int) string {
	n := 0
	for at := range s {
		if n == limit {
			return strings.TrimRight(s[:at], " ")
		}
		n++
	}
	return s
}

// ItemName is the name that is sent for a line. Where nothing readable is left
// of the till's, it names the article instead: a cheque must say what was sold
// (rules.md 7).
func ItemName(name, id string, limit int) string {
	if s := Clean(name, limit); readable(s) {
		return s
	}
	return Cut(strings.TrimRight("Məhsul "+Clean(id, CodeLimit), " "), limit)
}

func readable(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}

// Person is a cashier's name. Registers want one.
func Person(name string) string {
	if s := Clean(name, CashierLimit); readable(s) {
		return s
	}
	return "Kassir"
}

// Code cleans an article code: printable characters only, cut at the token's
// limit. It need not be readable, only the same for the same article.
func Code(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, norm.NFC.String(s))
	return strings.TrimSpace(Cut(strings.TrimSpace(s), CodeLimit))
}
