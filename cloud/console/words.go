package console

import (
	"encoding/json"
	"fmt"
	"html/template"
	"reflect"
	"regexp"
	"strings"
	"time"

	"ekassa/cloud/control"
	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

// T gives a sentence; arguments replace {0}, {1} in it.
func (v *view) T(key string, args ...any) string {
	s, ok := v.texts[key]
	if !ok {
		return "⟨" + key + "⟩" // a test looks for it on every page
	}
	for n, a := range args {
		s = strings.ReplaceAll(s, fmt.Sprintf("{%d}", n), fmt.Sprint(reflect.Indirect(reflect.ValueOf(a)))) // what may be missing is a pointer
	}
	return s
}

// Word gives the text of a code, and the code itself where there is none: agents
// may be newer than this program.
func (v *view) Word(group, code string) string {
	if s, ok := v.texts[group+"."+code]; ok {
		return s
	}
	return code
}

// index is where in a list a field stands.
var index = regexp.MustCompile(`\[[^]]*\]`)

// Fault says what is wrong with a field: by its code and the field where that has a
// sentence of its own, otherwise by its code, with what would fit where that is known.
func (v *view) Fault(f wire.Fault) string {
	own := "fault_at." + f.Code + "." + index.ReplaceAllString(f.Field, "")
	if _, ok := v.texts[own]; ok {
		return v.T(own, f.Detail)
	}
	if f.Detail != "" {
		return v.T("fault_of."+f.Code, f.Detail)
	}
	return v.T("fault." + f.Code)
}

// May says whether the person's role allows what needs another.
func (v *view) May(role string) bool { return v.Person != nil && v.Person.Role.May(fleet.Role(role)) }

// At is the present page or one below it.
func (v *view) At(path string) bool {
	return v.Path == path || path != "/" && strings.HasPrefix(v.Path, path+"/")
}

// Was gives what a person had typed into a field before it was found wrong.
func (v *view) Was(field, otherwise string) string {
	if list, ok := v.Form[field]; ok && len(list) > 0 {
		return list[0]
	}
	return otherwise
}

// Languages are those to choose from.
func (v *view) Languages() []string { return Languages }

// functions need no language.
var functions = template.FuncMap{
	"time": func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.In(control.Zone).Format("02.01.2006 15:04")
	},
	"clock":   func(t time.Time) string { return t.In(control.Zone).Format("02.01.2006 15:04:05") },
	"day":     func(t time.Time) string { return t.In(control.Zone).Format("02.01.2006") },
	"azn":     azn,
	"hours":   func(seconds int64) string { return fmt.Sprintf("%d:%02d", seconds/3600, seconds/60%60) },
	"degrees": func(t *float64) string { return fmt.Sprintf("%.0f °C", *t) },
	"upper":   strings.ToUpper,
	"mega":    func(bytes int64) int64 { return bytes / 1_000_000 },
	"args":    func(v *view, of any) map[string]any { return map[string]any{"View": v, "Of": of} },
	"text":    func(raw json.RawMessage) string { return string(raw) },
}

// azn writes qəpik.
func azn(q int64) string {
	sign := ""
	if q < 0 {
		sign, q = "−", -q
	}
	return fmt.Sprintf("%s%d.%02d", sign, q/100, q%100)
}
