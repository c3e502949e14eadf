package nixeval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	nixfiles "github.com/colmena-go/colmena-go/nix"
)

// Expression is one of the user's, a function of { nodes, pkgs, lib, ... }.
type Expression struct {
	Text string // as written on the command line, in the scope of builtins, as in Colmena
	File string // the absolute path of a file of Nix, in place of Text; or of a folder with a default.nix
}

// Introspect evaluates an expression over the hive and returns its value as JSON, on
// one line. That holds what was asked for, secrets included. It fails as [Evaluator.Run]
// does, or for what JSON cannot carry.
func (e *Evaluator) Introspect(ctx context.Context, x Expression, room Room) ([]byte, error) {
	return e.ask(ctx, x, question{room: room})
}

// Instantiate writes the derivations of an expression over the hive to the store
// and returns their paths as nix-instantiate(1) prints them. It is like Introspect
// in all else.
func (e *Evaluator) Instantiate(ctx context.Context, x Expression, room Room) (paths []string, err error) {
	text, err := e.ask(ctx, x, question{room: room, instantiate: true})
	if err != nil {
		return nil, err
	}
	return paths, json.Unmarshal(text, &paths)
}

var errNotJSON = errors.New("the value of the expression cannot be written as JSON: it holds text that is not UTF-8, or a number that is infinite or none")

func (e *Evaluator) ask(ctx context.Context, x Expression, q question) (value []byte, err error) {
	own, err := x.text(e.source, e.tool.Impure)
	if err != nil {
		return nil, err
	}
	if err := e.parse(ctx, own); err != nil {
		return nil, err
	}
	q.evaluator, q.own, q.said = e, own, &said{log: e.tool.Log}
	defer q.said.warn(left)
	value, err = q.answer(ctx)
	if err == nil && (!utf8.Valid(value) || !json.Valid(value)) {
		err = errNotJSON
	}
	if err != nil {
		return nil, ofExpression(err, own)
	}
	return value, nil
}

// parse tells what is no expression in its own terms, before it is part of another.
func (e *Evaluator) parse(ctx context.Context, x *ownText) error {
	alone := *x
	alone.column, alone.lines = len(alone.scope), strings.Count(alone.text, "\n")+1
	cmd := e.tool.Command(ctx, "nix-instantiate", "--parse", "--log-format", "internal-json", "--show-trace", "-")
	cmd.Stdin = strings.NewReader(alone.scope + alone.text)
	cmd.Dir, cmd.Stdout = e.source.Dir, io.Discard
	journal := &journal{said: &said{log: e.tool.Log}, trace: e.tool.ShowTrace, expression: &alone}
	err := e.tool.Run(ctx, cmd, journal.line)
	if !exited(err) {
		return err
	}
	about := e.source.surroundings()
	about.read = x.read
	return ofExpression(journal.failure(about), x)
}

// What is wrong with an expression more often than not, and what to do about it.
var expressionHints = []hint{
	{re("^cannot convert .* to JSON"), "choose what to print, as in `{ nodes, ... }: nodes.NODE.config.networking.hostName`: functions, and so whole nodes, are no JSON", nil},
	{re("called with unexpected argument '(?:nodes|pkgs|lib)'"), "the expression is called with nodes, pkgs and lib: let its arguments end with dots, as in `{ nodes, ... }:`", nil},
	{re("^undefined variable '(nodes|pkgs|lib)' at -E:"), "add it to the arguments of the expression, as in `{ $1, ... }:`", nil},
	{re("^undefined variable '(current(?:System|Time))' at -E:"), currentHint, nil},
	{re("^(undefined variable) '.*' at -E:"), "", nil},
}

// forbidden: a pure evaluation wants a file that is not the flake's.
var forbidden = re("^access to (?:absolute )?path '[^']*' is forbidden in pure eval(?:uation)? mode")

// ofExpression makes an error of the evaluation one of the expression.
func ofExpression(err error, x *ownText) error {
	var eval *EvalError
	if !errors.As(err, &eval) {
		return err
	}
	eval.What = "the expression"
	for _, h := range expressionHints {
		message, _, _ := strings.Cut(eval.Message, "\nhint: ")
		at := h.pattern.FindStringSubmatchIndex(message)
		if at == nil {
			continue
		}
		if eval.Message = message; h.text != "" {
			eval.Message += "\nhint: " + string(h.pattern.ExpandString(nil, h.text, message, at))
		}
		break
	}
	if message, _, _ := strings.Cut(eval.Message, "\nhint: "); x.name != commandLine && forbidden.MatchString(message) && strings.Contains(message, x.name+":") {
		eval.Message = message + "\nhint: a FILE of eval may import others only with --impure"
	}
	return err
}

// --- the text and its places --------------------------------------------------

// ownText is an expression of the user's at the beginning of what Nix reads from
// standard input, where it has no file of its own.
type ownText struct {
	name   string // what places in it are shown as: an absolute path, or [commandLine]
	scope  string // what Nix is to read before it, on its first line
	text   string
	column int // how far the first line is moved
	lines  int // 0 for a file that Nix reads itself
}

// commandLine is the name of the text of -E.
const commandLine = "-E"

// longestText bounds what Nix 2.8 repeats in each line of an error's trace.
const longestText = 256 << 10

// text is the expression as it is evaluated. In a pure evaluation no file can be
// read but a flake's own: then it is the file's text.
func (x Expression) text(source Source, impure bool) (*ownText, error) {
	name, scope, text := commandLine, "with builtins; ", x.Text
	if x.File != "" {
		name, scope = x.File, " " // the text of one that begins with a path would look like that to us
		if info, err := os.Stat(x.File); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no file %s: to evaluate an expression as it stands, pass it with -E", x.File)
		} else if err != nil {
			return nil, err
		} else if info.IsDir() {
			name = filepath.Join(x.File, "default.nix")
		}
		text = "import " + nixfiles.Quote(x.File)
	}
	own := &ownText{name: name, scope: scope, text: text}
	if x.File != "" && (source.File != "" || impure) {
		return own, nil
	}
	if x.File != "" {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		own.text = string(content)
	}
	switch {
	case len(own.text) > longestText && x.File != "":
		return nil, fmt.Errorf("%s has %d bytes, and a pure evaluation takes up to %d of a file that is not the flake's: pass --impure, with which Nix itself reads it", name, len(own.text), longestText)
	case len(own.text) > longestText:
		return nil, fmt.Errorf("the expression has %d bytes, which is more than %d: write it to a file", len(own.text), longestText)
	case strings.ContainsRune(own.text, 0):
		return nil, fmt.Errorf("%s holds a byte that is zero, so it is not a Nix file", name)
	}
	own.column, own.lines = len(binding+own.scope), strings.Count(own.text, "\n")+1
	return own, nil
}

// before puts the expression, by that name, before what Nix evaluates.
func (x *ownText) before(text string) string {
	return binding + x.scope + x.text + "\n; in " + text
}

const binding = "let expression = "

// place turns a place in what Nix reads into one of the expression.
func (x *ownText) place(line, column int) (int, int, bool) {
	if x == nil || line < 1 || line > x.lines {
		return line, column, false
	}
	if line == 1 {
		column = max(1, column-x.column)
	}
	return line, column, true
}

// inString is a place in what has no file, in Nix's own words.
var inString = regexp.MustCompile(`[«(](?:string|stdin)[»)]:(\d+):(\d+)`)

// rename has an error speak of the expression by its name.
func (x *ownText) rename(e *entry) {
	if x == nil {
		return
	}
	places := []*place{&e.place}
	for i := range e.Trace {
		places = append(places, &e.Trace[i].place)
	}
	for _, p := range places {
		line, column, mine := x.place(p.Line, p.Column)
		if p.File != "" && !strings.HasPrefix(p.File, "/") && mine {
			p.File, p.Line, p.Column = x.name, line, column
		}
	}
	e.Msg = x.renamed(e.Msg)
	if e.Raw != nil {
		raw := x.renamed(*e.Raw)
		e.Raw = &raw
	}
}

func (x *ownText) renamed(text string) string {
	return inString.ReplaceAllStringFunc(text, func(found string) string {
		numbers := inString.FindStringSubmatch(found)
		line, _ := strconv.Atoi(numbers[1])
		column, _ := strconv.Atoi(numbers[2])
		if line, column, mine := x.place(line, column); mine {
			return fmt.Sprintf("%s:%d:%d", x.name, line, column)
		}
		return found
	})
}

// read gives the text to who explains an error.
func (x *ownText) read(file string) string {
	if x != nil && file == x.name && file == commandLine {
		return x.text
	}
	return readSource(file)
}
