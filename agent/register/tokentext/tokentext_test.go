package tokentext

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func TestClean(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Plov", "Plov"},
		{"Ət və şorba: Çığırtma, İçki ÖÜĞ", "Ət və şorba. Çığırtma, İçki ÖÜĞ"},
		{norm.NFD.String("Çığırtma İşgəncə"), "Çığırtma İşgəncə"},
		{"Борщ й ё Ё", "Борщ й ё Ё"},
		{norm.NFD.String("й ё"), "й ё"},
		{"Ғәҹһөүҝ Ўј", "Ғәҹһөүҝ Ўј"},
		{"Café Crème – 0,5 l", "Cafe Creme - 0,5 l"},
		{"«Fanta» \"Exotic\" №5", "`Fanta` `Exotic` No5"},
		{"Lay's 90° 2×3 ½", "Lay`s 90* 2x3 1/2"},
		{"Pizza 🍕🇦🇿\u200d margarita", "Pizza margarita"},
		{"a\tb\r\nc\u00a0 d\u2003e", "a b c d e"},
		{"x\x00\x1b[31my\u202e", "x(31my"},
		{"i\u0307 \u0430\u0301", "i \u0430"},
		{"ǝ Șuba", "ə Şuba"},
		{"[a] {b} c|d\\e; f?", "(a) (b) c/d/e, f"},
		{"Ｔｅａ ﬁg ①", "Tea fig 1"},
		{"bad \xff\xfe bytes", "bad bytes"},
		{"  ", ""},
		{"中文", ""},
	} {
		if got := Clean(c.in, 100); got != c.want {
			t.Errorf("Clean(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestClean_CutsBetweenLetters(t *testing.T) {
	if got := Clean("Əəəşşş", 4); got != "Əəəş" {
		t.Errorf("cut to %q", got)
	}
	if got := Clean("abc def", 4); got != "abc" {
		t.Errorf("cut to %q", got)
	}
	if got := Clean(strings.Repeat("Ş", 500), NameLimit); utf8.RuneCountInString(got) != NameLimit || len(got) > 255 {
		t.Errorf("%d characters, %d bytes", utf8.RuneCountInString(got), len(got))
	}
}

func TestItemName_NamesTheArticleWhereNothingIsLeft(t *testing.T) {
	for _, c := range []struct{ name, id, want string }{
		{"🍕", "1001", "Məhsul 1001"}, {"***", "7", "Məhsul 7"}, {"", "中", "Məhsul"}, {"Çay", "7", "Çay"},
	} {
		if got := ItemName(c.name, c.id, NameLimit); got != c.want {
			t.Errorf("ItemName(%q, %q) = %q, want %q", c.name, c.id, got, c.want)
		}
	}
	if got := Person("\u200b"); got != "Kassir" {
		t.Errorf("nobody is %q", got)
	}
}

// checkClean holds what must hold of every cleaned text.
func checkClean(tb interface{ Errorf(string, ...any) }, s string, limit int) {
	got := Clean(s, limit)
	if !utf8.ValidString(got) || utf8.RuneCountInString(got) > limit {
		tb.Errorf("Clean(%q, %d) = %q", s, limit, got)
	}
	for _, r := range got {
		if !isAllowed(r) {
			tb.Errorf("Clean(%q) keeps %q", s, r)
		}
	}
	if strings.Contains(got, "  ") || strings.TrimSpace(got) != got {
		tb.Errorf("Clean(%q) = %q has blanks", s, got)
	}
	if again := Clean(got, limit); again != got {
		tb.Errorf("Clean(%q) = %q, again %q", s, got, again)
	}
	if other := Clean(norm.NFD.String(s), limit); utf8.ValidString(s) && other != Clean(norm.NFC.String(s), limit) {
		tb.Errorf("Clean(%q) depends on how letters are composed: %q, %q", s, got, other)
	}
	if ItemName(s, "1", max(limit, 10)) == "" {
		tb.Errorf("the item %q has no name", s)
	}
}

func TestClean_Properties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkClean(t, rapid.String().Draw(t, "text"), rapid.IntRange(1, 40).Draw(t, "limit"))
	})
	rapid.Check(t, func(t *rapid.T) {
		letters := []rune("əğıöşüçİƏĞIÖŞÜÇабвгдёйЙабв xyz 09 .,-")
		s := rapid.StringOfN(rapid.SampledFrom(letters), 0, 60, -1).Draw(t, "text")
		want := strings.Join(strings.Fields(s), " ")
		if got := Clean(s, 100); got != want {
			t.Errorf("Clean(%q) = %q", s, got)
		}
	})
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"Plov", "Çığırtma", "i\u0307", "🍕", "a\u0301\u0327", "\xff", "№ «x»", "ß\u0327", "\u1e9b\u0323", "Ⅷ", "٣"} {
		f.Add(s, 20)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 1 || limit > 1000 {
			return
		}
		checkClean(t, s, limit)
	})
}
