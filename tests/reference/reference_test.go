// Package reference keeps docs/reference in step with the code: options of a hive, and
// variables of the environment. (Commands and flags: pkg/cli.)
package reference

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/nixenv"
)

type option struct{ Name, Type, Default, Example, Description string }

// COLMENA_GO_UPDATE=1 writes it anew.
func TestTheReferenceOfOptionsIsWhatTheModulesSay(t *testing.T) {
	nixenv.Use(t)
	cmd := exec.Command("nix-instantiate", "--eval", "--strict", "--json", "options.nix")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Deployment, Meta []option }
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Deployment) < 20 || len(all.Meta) < 10 {
		t.Fatalf("%d and %d options", len(all.Deployment), len(all.Meta))
	}
	var b strings.Builder
	b.WriteString("# Options of a hive\n\nFor nodes, in `defaults` or in a node's own modules:\n\n")
	table(&b, all.Deployment)
	b.WriteString("\nFor the hive as a whole, in `meta` (or `network`):\n\n")
	table(&b, all.Meta)

	const file = "../../docs/reference/options.md"
	if os.Getenv("COLMENA_GO_UPDATE") == "1" {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != b.String() {
		t.Errorf("%s is not what nix/options.nix says (%v): COLMENA_GO_UPDATE=1 go test ./tests/reference", file, err)
	}
}

func table(b *strings.Builder, options []option) {
	b.WriteString("| option | type | default | |\n|---|---|---|---|\n")
	for _, o := range options {
		what := strings.ReplaceAll(strings.ReplaceAll(o.Description, "<", `\<`), "|", `\|`)
		if o.Description == "" {
			what = "?"
		}
		if o.Example != "" {
			what += " Example: `" + asNix(o.Example) + "`."
		}
		fmt.Fprintf(b, "| `%s` | %s | `%s` | %s |\n", o.Name, o.Type, asNix(o.Default), what)
	}
}

// asNix writes a list as Nix does.
func asNix(text string) string {
	var list []string
	if json.Unmarshal([]byte(text), &list) != nil || text == "null" {
		return text
	}
	parts := []string{"["}
	for _, word := range list {
		parts = append(parts, strconv.Quote(word))
	}
	return strings.Join(append(parts, "]"), " ")
}

func TestEveryVariableOfTheEnvironmentIsInTheReference(t *testing.T) {
	text, err := os.ReadFile("../../docs/reference/environment.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../pkg/*/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	read := map[string]bool{}
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			for _, name := range variables(t, file) {
				read[name] = true
			}
		}
	}
	if len(read) < 8 {
		t.Errorf("only %v are read", read)
	}
	for name := range read {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/reference/environment.md lacks %s", name)
		}
	}
	// And what it tells of is there.
	all, err := exec.Command("grep", "-rhoE", "[A-Z][A-Z_]+", "../../pkg", "--include=*.go").Output()
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(all))
	for _, row := range regexp.MustCompile("(?m)^\\| ((?:`[A-Z_]+`(?:, )?)+) \\|").FindAllStringSubmatch(string(text), -1) {
		for _, name := range regexp.MustCompile("[A-Z_]+").FindAllString(row[1], -1) {
			if !slices.Contains(words, name) && !slices.Contains(others, name) {
				t.Errorf("docs/reference/environment.md tells of %s, of which the code knows nothing", name)
			}
		}
	}
}

// others are read by libraries, or by programs that are run.
var others = []string{"XDG_CACHE_HOME", "NIX_PATH", "NIX_CONF_DIR", "NIX_REMOTE", "NIX_CONFIG"}

// variables are those that a file asks the environment for by name.
func variables(t *testing.T, file string) (names []string) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			asks := ""
			switch f := n.Fun.(type) {
			case *ast.Ident:
				asks = f.Name
			case *ast.SelectorExpr:
				asks = f.Sel.Name
			}
			if asks = strings.ToLower(asks); (asks == "getenv" || asks == "lookupenv") && len(n.Args) == 1 {
				names = append(names, literal(n.Args[0])...)
			}
		case *ast.ValueSpec: // const someEnv = "NAME"
			for i, name := range n.Names {
				if strings.HasSuffix(name.Name, "Env") && i < len(n.Values) {
					names = append(names, literal(n.Values[i])...)
				}
			}
		}
		return true
	})
	return names
}

func literal(x ast.Expr) []string {
	if lit, ok := x.(*ast.BasicLit); ok && lit.Kind == token.STRING {
		if name, err := strconv.Unquote(lit.Value); err == nil {
			return []string{name}
		}
	}
	return nil
}
