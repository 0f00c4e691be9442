package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// kind is what a node of the file holds.
type kind int

const (
	bad     kind = iota // reported already; readers pass over it
	text                // quoted or plain
	number              // text that YAML takes for a number, kept as it is written
	boolean             // true or false; "yes" and "no" are text
	list
	mapping
)

func (k kind) String() string {
	return [...]string{"nothing", "text", "a number", "a boolean", "a list", "a mapping"}[k]
}

// node is a piece of the file. Numbers stay text, so that 18.00 and 0123 are
// what was written and not what a float or an octal makes of them.
type node struct {
	kind   kind
	line   int
	text   string
	truth  bool
	items  []*node
	keys   []string
	fields map[string]*node
}

// value returns the node for JSON. Numbers are handed over as text: no setting
// is a number only, and text is read exactly.
func (n *node) value() any {
	switch n.kind {
	case text, number:
		return n.text
	case boolean:
		return n.truth
	case list:
		values := make([]any, len(n.items))
		for i, item := range n.items {
			values[i] = item.value()
		}
		return values
	case mapping:
		values := make(map[string]any, len(n.keys))
		for key, field := range n.fields {
			values[key] = field.value()
		}
		return values
	default:
		return nil
	}
}

// tree is a file that was read, with the line of every path in it.
type tree struct {
	*faults
	lines map[string]int
}

// parse reads YAML. What was wrong is in the faults; where nothing could be
// read at all, the node is nil.
func (t *tree) parse(data []byte) *node {
	if len(data) > maxSize {
		t.add(0, "", fmt.Sprintf("is larger than %d KiB; this cannot be an agent.yaml", maxSize>>10))
		return nil
	}
	file, err := parseYAML(data)
	if err != nil {
		line, message := 0, "is not yaml"
		if errors.Is(err, errDepth) || errors.Is(err, errGaveUp) {
			message += ": " + err.Error()
		}
		if e := yaml.Error(nil); errors.As(err, &e) { // its Error() prints the lines around, and a secret with them
			message = "is not yaml: " + lowerFirst(e.GetMessage())
			if at := e.GetToken(); at != nil && at.Position != nil {
				line = at.Position.Line
			}
		}
		t.add(line, "", message+"; mend the line or the one before")
		return nil
	}
	switch {
	case len(file.Docs) > 1:
		t.add(0, "", "has more than one yaml document; keep one")
		return nil
	case len(file.Docs) == 0 || file.Docs[0].Body == nil:
		// A power cut can leave an empty file. To go on with the defaults would
		// mean a new journal in another folder.
		t.add(0, "", "is empty; write at least data_dir")
		return nil
	}
	return t.node(file.Docs[0].Body, "")
}

var (
	errGaveUp = errors.New("the parser gave up")
	errDepth  = errors.New("nested too deep")
)

// parseYAML turns a panic of the parser, which a damaged file may well find,
// into an error, and spares it nesting on which it would use up the memory of
// a Pi.
func parseYAML(data []byte) (file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			file, err = nil, errGaveUp
		}
	}()
	tokens := lexer.Tokenize(string(data))
	if tooDeep(tokens) {
		return nil, errDepth
	}
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // duplicates are named by us, all of them
}

// tooDeep looks for nesting that needs no indentation: brackets, and entries
// of lists in one line ("- - - x"). Ours is four deep.
func tooDeep(tokens token.Tokens) bool {
	const limit = 32
	open, entries, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position != nil && t.Position.Line != line {
			line, entries = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			open++
		case token.SequenceEndType, token.MappingEndType:
			open--
		case token.SequenceEntryType:
			entries++
		}
		if open+entries > limit {
			return true
		}
	}
	return false
}

func (t *tree) node(n ast.Node, path string) *node {
	out := &node{line: lineOf(n)}
	if _, known := t.lines[path]; !known {
		t.lines[path] = out.line
	}
	switch n := n.(type) {
	case *ast.StringNode:
		out.kind, out.text = text, n.Value
	case *ast.LiteralNode:
		out.kind, out.text = text, n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = number, n.GetToken().Value
	case *ast.BoolNode:
		out.kind, out.truth = boolean, n.Value
	case *ast.SequenceNode:
		out.kind = list
		for i, item := range n.Values {
			out.items = append(out.items, t.node(item, path+"["+strconv.Itoa(i)+"]"))
		}
	case *ast.MappingNode:
		out.kind, out.fields = mapping, map[string]*node{}
		for _, v := range n.Values {
			t.field(out, v, path)
		}
	case *ast.MappingValueNode:
		out.kind, out.fields = mapping, map[string]*node{}
		t.field(out, n, path)
	case *ast.NullNode:
		t.add(out.line, path, "has no value; write one, or leave the line out")
	default:
		t.add(out.line, path, "uses an anchor, alias, tag or merge of yaml; write the plain value")
	}
	return out
}

func (t *tree) field(parent *node, v *ast.MappingValueNode, path string) {
	var key string
	switch k := v.Key.(type) {
	case *ast.StringNode:
		key = k.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		key = k.GetToken().Value
	default:
		t.add(lineOf(v.Key), path, "has a key that is no plain text; write key: value")
		return
	}
	at := child(path, key)
	if first, twice := t.lines[at]; twice {
		t.add(lineOf(v.Key), at, fmt.Sprintf("is written twice, first in line %d; keep one of the two", first))
		return
	}
	t.lines[at] = lineOf(v.Key)
	parent.keys = append(parent.keys, key)
	parent.fields[key] = t.node(v.Value, at)
}

// lineOfPath returns the line of a path, or of what it would be in.
func (t *tree) lineOfPath(path string) int {
	for {
		if line, ok := t.lines[path]; ok {
			return line
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return 0
		}
		path = path[:cut]
	}
}

func lineOf(n ast.Node) int {
	if n == nil {
		return 0
	}
	if at := n.GetToken(); at != nil && at.Position != nil {
		return at.Position.Line
	}
	return 0
}

func child(path, key string) string {
	if key == "" || strings.IndexFunc(key, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`.[]"`, r) }) >= 0 {
		return path + "[" + quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}
