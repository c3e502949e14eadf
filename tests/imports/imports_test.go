// Package imports checks that packages know of each other only in the one
// direction that docs/architecture.md draws.
package imports

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/colmena-go/colmena-go/"

// allowed says which packages of this module each package may import. The long list has
// lines of its own, so that two who add to it do not meet.
var allowed = map[string][]string{
	"pkg/secret":     {},
	"pkg/crash":      {},
	"pkg/hive":       {"pkg/secret"},
	"pkg/memory":     {"pkg/secret"},
	"pkg/plan":       {"pkg/closure", "pkg/hive", "pkg/memory", "pkg/secret"},
	"pkg/event":      {"pkg/closure", "pkg/hive", "pkg/plan"},
	"pkg/nix":        {"pkg/child", "pkg/crash"},
	"pkg/nixbuild":   {"pkg/closure", "pkg/crash", "pkg/hive", "pkg/hostscript", "pkg/nix", "pkg/printable"},
	"pkg/nixeval":    {"nix", "pkg/child", "pkg/crash", "pkg/hive", "pkg/nix"},
	"pkg/ownfolder":  {},
	"pkg/evalcache":  {"pkg/crash", "pkg/hive", "pkg/nixeval", "pkg/ownfolder"},
	"pkg/evaluate":   {"pkg/crash", "pkg/hive", "pkg/nixeval"},
	"pkg/scratch":    {},
	"pkg/child":      {"pkg/crash"},
	"pkg/ask":        {"pkg/child", "pkg/crash", "pkg/hostscript", "pkg/printable", "pkg/secret"},
	"pkg/escalation": {"pkg/ask", "pkg/secret"},
	"pkg/keysource":  {"pkg/ask", "pkg/child", "pkg/crash", "pkg/hive", "pkg/secret"},
	"pkg/sshconfig":  {"pkg/child"},
	"pkg/remote":     {"pkg/ask", "pkg/askpass", "pkg/child", "pkg/crash", "pkg/escalation", "pkg/hostscript", "pkg/knownhosts", "pkg/printable", "pkg/scratch", "pkg/secret", "pkg/sshauth", "pkg/sshconfig"},
	"pkg/askpass":    {"pkg/crash", "pkg/secret"},
	"pkg/sshauth":    {"pkg/ask", "pkg/knownhosts", "pkg/secret", "pkg/sshconfig"},
	"pkg/knownhosts": {},
	"pkg/hostscript": {"pkg/crash", "pkg/printable"},
	"pkg/local":      {"pkg/crash", "pkg/escalation", "pkg/secret"},
	"pkg/shell":      {"pkg/crash", "pkg/hostscript"},
	"pkg/upload":     {"pkg/crash", "pkg/hive", "pkg/hostscript", "pkg/memory", "pkg/plan", "pkg/printable", "pkg/secret"},
	"pkg/activation": {"pkg/crash", "pkg/hive", "pkg/hostscript", "pkg/plan", "pkg/printable"},
	"pkg/closure":    {"pkg/printable"},
	"pkg/units":      {"pkg/crash", "pkg/hive", "pkg/hostscript", "pkg/plan", "pkg/printable"},
	"pkg/keywatch":   {"pkg/activation", "pkg/hive", "pkg/hostscript"},
	"pkg/status":     {"pkg/closure", "pkg/hive", "pkg/hostscript", "pkg/plan", "pkg/printable"},
	"pkg/deploy":     {"pkg/activation", "pkg/closure", "pkg/crash", "pkg/event", "pkg/hive", "pkg/hostscript", "pkg/memory", "pkg/plan", "pkg/printable", "pkg/secret", "pkg/status", "pkg/units", "pkg/upload"},
	"pkg/report":     {"pkg/closure", "pkg/crash", "pkg/event", "pkg/hive", "pkg/hostscript", "pkg/plan", "pkg/printable", "pkg/record", "pkg/status", "pkg/view"},
	"pkg/runlog":     {"pkg/crash", "pkg/event", "pkg/ownfolder", "pkg/plan", "pkg/printable"},
	"pkg/roster":     {"pkg/ownfolder"},
	"pkg/view":       {"pkg/event", "pkg/hive", "pkg/plan", "pkg/printable", "pkg/record"},
	"pkg/cli": {
		"pkg/ask",
		"pkg/askpass",
		"pkg/child",
		"pkg/closure",
		"pkg/crash",
		"pkg/deploy",
		"pkg/escalation",
		"pkg/evalcache",
		"pkg/evaluate",
		"pkg/event",
		"pkg/hive",
		"pkg/keysource",
		"pkg/keywatch",
		"pkg/local",
		"pkg/nix",
		"pkg/nixbuild",
		"pkg/nixeval",
		"pkg/outfile",
		"pkg/plan",
		"pkg/printable",
		"pkg/record",
		"pkg/remote",
		"pkg/report",
		"pkg/roster",
		"pkg/runlog",
		"pkg/scratch",
		"pkg/secret",
		"pkg/shell",
		"pkg/sshauth",
		"pkg/sshconfig",
		"pkg/status",
		"pkg/upload",
		"pkg/version",
	},
	"pkg/outfile":   {},
	"pkg/printable": {},
	"pkg/record":    {"pkg/event", "pkg/hive", "pkg/plan", "pkg/printable"},
	"pkg/version":   {},
	"nix":           {},
	"":              {"pkg/cli"},
}

// alone are dependencies that one package keeps to itself.
var alone = map[string][]string{
	"github.com/urfave/cli/v2": {"pkg/cli"},
	"github.com/melbahja/goph": {"pkg/remote"},
	"golang.org/x/crypto/ssh":  {"pkg/knownhosts", "pkg/remote", "pkg/sshauth"},

	"github.com/hashicorp/go-multierror":      {"pkg/hive", "pkg/keysource", "pkg/plan"},
	"github.com/rs/zerolog":                   {"pkg/cli", "pkg/evalcache", "pkg/evaluate", "pkg/nix", "pkg/nixeval", "pkg/remote", "pkg/report", "pkg/secret"},
	"github.com/xrash/smetrics":               {"pkg/hive"},
	"golang.org/x/sys/unix":                   {"pkg/ask", "pkg/child", "pkg/report"},
	"github.com/cpuguy83/go-md2man/v2/md2man": {"pkg/cli"},
	"golang.org/x/term":                       {"pkg/cli", "pkg/keysource", "pkg/report"},
	"golang.org/x/text/width":                 {"pkg/printable"},
}

// vague are names that say nothing about what is in a package.
var vague = []string{"utils", "util", "common", "types", "errors", "helpers"}

// A panic that nobody catches ends the program with 2, which means something else.
func TestEveryGoroutineCatchesItsPanics(t *testing.T) {
	files, err := filepath.Glob("../../pkg/*/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	fset := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || strings.Contains(name, "/crash/") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			var begun ast.Expr
			switch n := n.(type) {
			case *ast.GoStmt:
				begun = n.Call.Fun
			case *ast.CallExpr:
				if call, ok := n.Fun.(*ast.SelectorExpr); ok && call.Sel.Name == "Go" && len(n.Args) == 1 {
					begun = n.Args[0]
				}
			}
			if begun != nil && !catches(begun) {
				t.Errorf("%s: begin the goroutine with `defer crash.Guard()`, or make it of crash.Guarded", fset.Position(n.Pos()))
			}
			return true
		})
	}
}

// catches reports whether what a goroutine begins with is of package crash.
func catches(f ast.Expr) bool {
	var call *ast.CallExpr
	switch f := f.(type) {
	case *ast.CallExpr:
		call = f
	case *ast.FuncLit:
		if len(f.Body.List) > 0 {
			if first, ok := f.Body.List[0].(*ast.DeferStmt); ok {
				call = first.Call
			}
		}
	}
	if call == nil {
		return false
	}
	of, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	name, ok := of.X.(*ast.Ident)
	return ok && name.Name == "crash"
}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestPackagesImportInOneDirection(t *testing.T) {
	for _, p := range list(t) {
		name := strings.Trim(strings.TrimPrefix(p.ImportPath+"/", module), "/")
		may, known := allowed[name]
		if !known {
			t.Errorf("package %q is new: say here what it may import", name)
		}
		for _, path := range p.Imports {
			if inside, ok := strings.CutPrefix(path, module); ok && !slices.Contains(may, inside) {
				t.Errorf("%s must not import %s", name, inside)
			}
			if keepers, ok := alone[path]; ok && !slices.Contains(keepers, name) {
				t.Errorf("%s must not import %s: it belongs to %s alone", name, path, strings.Join(keepers, ", "))
			}
		}
		if base := name[strings.LastIndexByte(name, '/')+1:]; slices.Contains(vague, base) {
			t.Errorf("the name of %s does not say what it is for", name)
		}
	}
}

// list is every package of the program, tests apart.
func list(t *testing.T) (packages []listed) {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", ".", "./nix", "./pkg/...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
