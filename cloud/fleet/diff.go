package fleet

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ekassa/cloud/wire"
)

// Change is one setting that differs. Secrets are masked: where one was
// replaced by another, Before and After are both "***". An empty text stands for
// nothing.
type Change struct {
	Field  string `json:"field"` // such as registers[kassa-1].address
	Before string `json:"before"`
	After  string `json:"after"`
}

// Diff names what differs between two versions of settings, ordered by field.
// Registers and terminals are compared by their ids.
func Diff(before, after wire.Settings) []Change {
	a, b := flat(before), flat(after)
	changes := []Change{}
	for field, was := range a {
		if is := b[field]; is != was {
			changes = append(changes, Change{field, show(field, was), show(field, is)})
		}
	}
	for field, is := range b {
		if _, known := a[field]; !known && is != "" {
			changes = append(changes, Change{field, "", show(field, is)})
		}
	}
	slices.SortFunc(changes, func(x, y Change) int { return cmp.Compare(x.Field, y.Field) })
	return changes
}

func show(field, value string) string {
	for _, name := range secretFields {
		if value != "" && strings.HasSuffix(field, "]."+name) {
			return Mask
		}
	}
	return value
}

// flat gives every setting by its path, as text.
func flat(s wire.Settings) map[string]string {
	out := map[string]string{}
	data, err := json.Marshal(s)
	if err != nil { // settings are text, numbers and yes or no
		panic(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(data, &tree); err != nil {
		panic(err)
	}
	flatten(out, "", tree)
	return out
}

func flatten(out map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, x := range v {
			at := key
			if path != "" {
				at = path + "." + key
			}
			flatten(out, at, x)
		}
	case []any:
		var texts []string
		for _, x := range v {
			if object, ok := x.(map[string]any); ok {
				flatten(out, fmt.Sprintf("%s[%v]", path, object["id"]), object)
			} else {
				texts = append(texts, fmt.Sprint(x))
			}
		}
		if len(texts) > 0 {
			out[path] = strings.Join(texts, ", ")
		}
	case nil:
	default:
		out[path] = fmt.Sprint(v)
	}
}
