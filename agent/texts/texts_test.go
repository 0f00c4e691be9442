package texts

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

func TestAllLanguagesHaveTheSameSentences(t *testing.T) {
	want := slices.Sorted(maps.Keys(sentences["en"]))
	for _, lang := range Languages {
		for _, key := range want {
			s, ok := sentences[lang][key]
			if !ok || strings.TrimSpace(s) != s || s == "" {
				t.Errorf("%s.json: %s is missing or blank: %q", lang, key, s)
			}
			if got, want := placeholders(s), placeholders(sentences["en"][key]); !slices.Equal(got, want) {
				t.Errorf("%s.json: %s names %v, in English %v", lang, key, got, want)
			}
		}
		for key := range sentences[lang] {
			if _, ok := sentences["en"][key]; !ok {
				t.Errorf("%s.json: %s is not in en.json", lang, key)
			}
		}
	}
}

func placeholders(s string) []string {
	return slices.Sorted(slices.Values(regexp.MustCompile(`\{[a-z]+\}`).FindAllString(s, -1)))
}

// TestEveryCodeOfTheProgramHasASentence reads the constants out of the source,
// so that a new one without a sentence fails here.
func TestEveryCodeOfTheProgramHasASentence(t *testing.T) {
	for _, c := range []struct {
		name        string
		dir         string
		typ, prefix string // of the constants: their type, or the start of their name
		keys        []string
		atLeast     int
	}{
		{"fault codes", "../receipt", "", "Code", []string{"fault.*"}, 26},
		{"reasons", "../register", "", "Why", []string{"reason.*"}, 21},
		{"states", "../receipt", "State", "", []string{"state.*", "label.*"}, 8},
		{"kinds", "../receipt", "Kind", "", []string{"kind.*"}, 8},
		{"causes", "../register", "Cause", "", []string{"cause.*"}, 13},
		{"proofs", "../register", "Proof", "", []string{"proof.*"}, 6},
		{"links", "../register", "Link", "", []string{"link.*"}, 7},
		{"a slip printer's problems", "../slip", "Problem", "", []string{"printer.*"}, 5},
		{"what the doctor finds well", "..", "health", "", []string{"doctor.*"}, 20},
		{"what the doctor finds amiss", "..", "ailment", "", []string{"doctor.*", "doctor.*.do"}, 40},
		{"what the doctor says of agent.yaml", "../config", "Hint", "", []string{"doctor.configuration.*", "doctor.configuration.*.do"}, 8},
		{"problems", "../till", "problemCode", "", []string{"problem.*", "problem.*.detail"}, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			values := constants(t, c.dir, c.typ, c.prefix)
			if len(values) < c.atLeast {
				t.Errorf("found only %d constants in %s: %v", len(values), c.dir, values)
			}
			for _, v := range values {
				if strings.HasSuffix(v, ".") { // the start of others, which stand elsewhere
					continue
				}
				keys := slices.Clone(c.keys)
				if what, _, found := strings.Cut(v, "."); found { // what was looked at has a name
					keys = append(keys, "doctor."+what)
				}
				for _, key := range keys {
					key = strings.Replace(key, "*", v, 1)
					if _, ok := sentences["en"][key]; !ok {
						t.Errorf("no sentence %s", key)
					}
				}
			}
		})
	}
}

// constants gives the text constants of a package that have this type, or none
// and a name that starts so.
func constants(t *testing.T, dir, typ, prefix string) (values []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				values = append(values, matching(s.(*ast.ValueSpec), typ, prefix)...)
			}
		}
	}
	return values
}

func matching(s *ast.ValueSpec, typ, prefix string) (values []string) {
	var its string
	if id, ok := s.Type.(*ast.Ident); ok {
		its = id.Name
	}
	for n, name := range s.Names {
		if its != typ || !strings.HasPrefix(name.Name, prefix) || n >= len(s.Values) {
			continue
		}
		if lit, ok := s.Values[n].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if v, err := strconv.Unquote(lit.Value); err == nil && v != "" {
				values = append(values, v)
			}
		}
	}
	return values
}

func TestSay(t *testing.T) {
	for _, c := range []struct{ name, got, want string }{
		{"a cashier is told not to ring up again", State("az", receipt.Checking), "Nəticə hələ məlum deyil. Çeki təkrar vurmayın, yoxlanılır."},
		{"the detail is named", Reason("ru", receipt.Reason{Code: register.WhyRefused, Detail: "502 no"}), "Касса отказала и документа не создала: 502 no. Устраните причину и отправьте снова или отзовите чек."},
		{"no detail leaves no gap", Reason("en", receipt.Reason{Code: register.WhyRefused}), "The register refused it and made no document. Mend the cause and send it again, or take it back."},
		{"a state is named in words", Fault("en", receipt.Fault{Code: receipt.CodeParentState, Detail: "withdrawn"}), "The original receipt will never be fiscal (state: taken back), so nothing can refer to it."},
		{"an unknown language is Azerbaijani", Say("fr", "status.ready", nil), "Kassa hazırdır."},
		{"an unknown key shows itself", Say("az", "reason.new", nil), "reason.new"},
		{"an argument is never read as a placeholder", Say("en", "cause.other", Args{"detail": "{detail} [x]"}), "The register reports a fault: {detail} [x]."},
		{"a fault without a cause", Cause("en", register.CauseNone, ""), "The register reports a fault."},
		{"a kind", Kind("ru", receipt.Deposit), "внесение"},
		{"a label", Label("en", receipt.Held), "awaits a decision"},
		{"a link", Link("en", register.LinkReady), "The register is ready."},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.got != c.want {
				t.Errorf("got %q\nwant %q", c.got, c.want)
			}
		})
	}
}

func TestMatchChoosesALanguageOfOurs(t *testing.T) {
	for _, c := range []struct{ accept, otherwise, want string }{
		{"", "az", "az"},
		{"", "ru", "ru"},
		{"", "xx", "az"},
		{"en", "az", "en"},
		{"en-GB,en;q=0.9", "az", "en"},
		{"ru-RU, az;q=0.5", "en", "ru"},
		{"az-Latn-AZ", "ru", "az"},
		{"ja", "ru", "ru"},
		{"ja, en;q=0.1", "ru", "en"},
		{"*", "ru", "ru"},
		{"%%%", "ru", "ru"},
		{strings.Repeat("en,", 1000), "ru", "ru"},
	} {
		if got := Match(c.accept, c.otherwise); got != c.want {
			t.Errorf("Match(%.40q, %q) = %q, want %q", c.accept, c.otherwise, got, c.want)
		}
	}
}
