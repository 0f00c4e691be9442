package manual

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ekassa/agent/receipt"
)

// TestErrors_HasEveryCodeOfTheProgram reads the codes out of the source, so that a
// new one that the page does not tell of fails here, and an old one too.
func TestErrors_HasEveryCodeOfTheProgram(t *testing.T) {
	page := tables(t)
	for section, codes := range map[string][]string{
		"Problems":                  constants(t, "../till", "problemCode", ""),
		"Faults of a field":         constants(t, "../receipt", "", "Code"),
		"Causes of a register's no": constants(t, "../register", "Cause", ""),
		"Reasons of a receipt":      append(constants(t, "../register", "", "Why"), constants(t, "../till", "", "why")...),
		"Alerts": slices.Concat(constants(t, "../register", "", "Alert"), constants(t, "../../cloud/wire", "", "Alert"),
			constants(t, "../../cloud/store", "", "Alert"), constants(t, "../../cloud/link", "", "alert"), watched(t)),
	} {
		slices.Sort(codes)
		codes = slices.Compact(codes)
		told := []string{}
		for _, row := range page[section] {
			told = append(told, row[0])
		}
		slices.Sort(told)
		if len(codes) < 10 {
			t.Errorf("%s: only %d codes were found in the source: %v", section, len(codes), codes)
		}
		for _, c := range codes {
			if !slices.Contains(told, c) {
				t.Errorf("ERRORS.md, %s: %s is missing", section, c)
			}
		}
		for n, c := range told {
			if !slices.Contains(codes, c) || n > 0 && told[n-1] == c {
				t.Errorf("ERRORS.md, %s: %s is no code of the program, or stands there twice", section, c)
			}
		}
	}
}

func TestErrors_StatesAreStates(t *testing.T) {
	for _, row := range tables(t)["Reasons of a receipt"] {
		for s := range strings.SplitSeq(strings.ReplaceAll(row[1], "`", ""), ", ") {
			if s != "any" && !slices.Contains(receipt.States, receipt.State(s)) {
				t.Errorf("ERRORS.md: %s is of the state %q, which is none", row[0], s)
			}
		}
	}
}

// tables gives the rows below each heading of the page, without the code's ticks.
func tables(t *testing.T) map[string][][]string {
	t.Helper()
	data, err := os.ReadFile("ERRORS.md")
	if err != nil {
		t.Fatal(err)
	}
	found, section := map[string][][]string{}, ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = title
		}
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		row := strings.Split(strings.Trim(line, "| "), " | ")
		for _, cell := range row {
			if strings.TrimSpace(cell) == "" {
				t.Errorf("ERRORS.md: an empty cell in %s", line)
			}
		}
		row[0] = strings.Trim(row[0], "`")
		found[section] = append(found[section], row)
	}
	return found
}

// watched are the codes of what the cloud sees by itself.
func watched(t *testing.T) (codes []string) {
	t.Helper()
	data, err := os.ReadFile("../../cloud/fleet/watch.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t\t\{"([a-z_]+)", `).FindAllStringSubmatch(string(data), -1) {
		codes = append(codes, m[1])
	}
	return codes
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
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			s, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			its, _ := s.Type.(*ast.Ident)
			for n, name := range s.Names {
				if (its == nil) != (typ == "") || its != nil && its.Name != typ || !strings.HasPrefix(name.Name, prefix) || n >= len(s.Values) {
					continue
				}
				if lit, ok := s.Values[n].(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if v, err := strconv.Unquote(lit.Value); err == nil && v != "" {
						values = append(values, v)
					}
				}
			}
			return true
		})
	}
	return values
}
