package manual

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Message is what an error says, as it stands in the program.
type Message struct {
	Where string // FILE:LINE
	Text  string // with … for what is put in
	// Wraps reports that it begins with another error, or says of its own only where
	// one came up; Kind that it is such an error, which stands in many others.
	Wraps, Kind bool
}

// Messages are those of all errors that the code below a folder makes: in Go, on
// hosts, and in Nix.
func Messages(t *testing.T, dir string) (list []Message) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || strings.HasSuffix(path, "_test.go") {
			return err
		}
		switch filepath.Ext(path) {
		case ".go":
			list = append(list, inGo(t, path)...)
		case ".sh":
			list = append(list, written(t, path, ofHosts)...)
		case ".nix":
			list = append(list, written(t, path, ofNix)...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// makers are functions that make an error, and which of their arguments is its text.
var makers = map[string]int{"errors.New": 0, "fmt.Errorf": 0, "usage": 0, "v.add": 1}

func inGo(t *testing.T, path string) (list []Message) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, is := n.(*ast.CallExpr)
		if !is {
			return true
		}
		if arg, makes := makers[called(call.Fun)]; makes && arg < len(call.Args) {
			format, at := literal(call.Args[arg]), files.Position(call.Pos())
			list = append(list, Message{
				Where: at.Filename + ":" + strconv.Itoa(at.Line), Text: filled(verb, format),
				Kind:  called(call.Fun) == "errors.New",
				Wraps: strings.HasPrefix(format, "%w") || frame.MatchString(format),
			})
		}
		return true
	})
	return list
}

// called is the name of a function, with what it is of.
func called(fun ast.Expr) string {
	switch f := fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if of, is := f.X.(*ast.Ident); is {
			return of.Name + "." + f.Sel.Name
		}
	}
	return ""
}

// literal is a text as it is written down; what is not, is put in.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return text
	case *ast.BinaryExpr:
		return literal(e.X) + literal(e.Y)
	}
	return "%v"
}

var (
	verb  = regexp.MustCompile(`%[-+# 0]*(\[\d+\])?[\d.]*[a-zA-Z]|%%`)
	frame = regexp.MustCompile(`^[^;\n]*: %[wv](%s)?$`)

	ofHosts     = regexp.MustCompile(`\bfail \w+ \S+ (?:"((?:\$\{[^}]*\}|[^"])+)"|'([^']+)')`)
	ofNix       = regexp.MustCompile(`\b(?:throw|message =) "(?:colmena-go: )?((?:[^"\\]|\\.)*)"`)
	putInByHand = regexp.MustCompile(`\$\{(?:\$\{[^}]*\}|[^}])*\}|\$\([^)]*\)|\$\w+`)
)

// written are the messages of a script, or of Nix.
func written(t *testing.T, path string, pattern *regexp.Regexp) (list []Message) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for number, line := range strings.Split(string(text), "\n") {
		for _, m := range pattern.FindAllStringSubmatch(line, -1) {
			said := strings.ReplaceAll(strings.Join(m[1:], ""), `\"`, `"`)
			list = append(list, Message{Where: path + ":" + strconv.Itoa(number+1), Text: filled(putInByHand, said)})
		}
	}
	return list
}

// filled has … for each place where something is put in.
func filled(place *regexp.Regexp, text string) string {
	return place.ReplaceAllStringFunc(text, func(found string) string {
		if found == "%%" {
			return "%"
		}
		return anything
	})
}

// tellsWhatToDo matches a message that has its cure in it: an imperative, or what is taken.
var tellsWhatToDo = regexp.MustCompile(`(?:^|[:;,(] ?|\bor |\band )(?:` + strings.Join([]string{
	"activate", "add", "allow", "ask", "build", "change", "choose", "confirm", "copy", "correct", "create", "deploy", "give", "have", "initialize",
	"install", "keep", "leave", "let", "look", "make", "mend", "move", "name", "pass", "put", "raise", "rename", "restart", "run", "say", "see", "set",
	"try", "unset", "update", "use", "write",
	"it must", "they must", "as in", "one", "such as", "which must",
}, "|") + `)\b|[:;] ` + "`" + `|^invalid `)

// quotes are what a page quotes.
type quotes []string

func quoted(page string) (list quotes) {
	for _, m := range code.FindAllStringSubmatch(page, -1) {
		list = append(list, m[1])
	}
	return list
}

// have reports whether a message, or part of it that tells it from others, is quoted.
func (q quotes) have(message string) bool {
	for _, quote := range q {
		all, rest := 0, message
		for _, part := range strings.Split(quote, anything) {
			var found bool
			part = strings.Trim(part, " :,")
			if _, rest, found = strings.Cut(rest, part); !found {
				all = 0
				break
			}
			all += len(part)
		}
		if all >= leastQuoted || quote == message {
			return true
		}
	}
	return false
}

// leastQuoted is how many bytes of a message tell it from others.
const leastQuoted = 10

// owns reports whether a message has words of its own, by which it could be looked up.
func (m Message) owns() bool {
	return len(strings.Trim(strings.ReplaceAll(m.Text, anything, ""), " :;,")) >= leastQuoted
}
