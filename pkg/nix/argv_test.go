package nix

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeNix puts stand-ins for nix and nix-store first in PATH, which print one
// answer a call, and returns a function that lists the calls so far: program
// and arguments in one line each, Nix expressions as EXPR. What the store is asked
// for, the real one answers.
func fakeNix(t *testing.T, answers ...string) func() []string {
	t.Helper()
	dir := t.TempDir()
	const stand = `#!/bin/sh
dir=${0%/*}
{ printf '%s\0' "${0##*/}" "$@"; printf '\001'; } >>"$dir/calls"
[ "$1" != --serve ] || exec REAL "$@"
head -n 1 "$dir/answers"
sed -i 1d "$dir/answers"
`
	real, err := exec.LookPath("nix-store")
	if err != nil {
		t.Fatal(err)
	}
	script := strings.ReplaceAll(stand, "REAL", real)
	for name, text := range map[string]string{"nix": script, "nix-store": script, "nix-instantiate": script, "answers": strings.Join(answers, "\n") + "\n", "calls": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() (calls []string) {
		text, err := os.ReadFile(filepath.Join(dir, "calls"))
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range strings.Split(strings.TrimSuffix(string(text), "\x01"), "\x01") {
			words := strings.Split(strings.TrimSuffix(call, "\x00"), "\x00")
			for i := range words {
				if i > 0 && (words[i-1] == "--expr" || words[i-1] == "--apply") {
					words[i] = "EXPR"
				}
			}
			calls = append(calls, strings.Join(words, " "))
		}
		return calls
	}
}

// unbuilt is a path that no store has.
const unbuilt = "/nix/store/00000000000000000000000000000000-none"

// evaluated is what a stand-in of `nix eval` answers in the end, and aHead what one
// of nix-instantiate answers at first.
const (
	evaluated = `["{\"name\":\"web\"}"]`
	aHead     = `"{\"names\":[\"web\"]}"`
)

var (
	inFile  = Source{File: "/hives/hive.nix"}
	inFlake = Source{Flake: "github:acme/hive"}
	cores   = Tool{Options: [][2]string{{"cores", "2"}, {"substituters", "a b"}}}
)

func TestNixIsCalledWithWhatTheUserAskedFor(t *testing.T) {
	evaluation := func(source Source) func(*testing.T, Tool) error {
		return func(t *testing.T, tool Tool) error {
			got := ""
			said := func(text []byte) { got += string(text) }
			err := tool.NewEvaluator(source).Run(t.Context(), Part{Most: 1, Texts: true}, Hooks{Head: said, Done: said})
			if err == nil && got != `{"names":["web"]}` && got != `{"name":"web"}` {
				t.Errorf("the result is %q", got)
			}
			return err
		}
	}
	build := func(opts BuilderOptions, root string) func(*testing.T, Tool) error {
		return func(t *testing.T, tool Tool) error {
			b := tool.NewBuilder(opts)
			defer b.Close()
			return b.Build(t.Context(), Build{DrvPath: "/nix/store/x.drv", OutPath: unbuilt, GCRoot: root})
		}
	}
	copying := func(opts CopyOptions) func(*testing.T, Tool) error {
		return func(t *testing.T, tool Tool) error {
			return tool.Copy(t.Context(), "/nix/store/x", "unix:///tmp/a b/socket", opts)
		}
	}
	for _, c := range []struct {
		name       string
		tool       Tool
		run        func(*testing.T, Tool) error
		begin      string
		has, lacks string
	}{
		{"--nix-option is for the evaluation of a file", cores, evaluation(inFile), "nix-instantiate ",
			" --option cores 2 --option substituters a b ", ""},
		{"and of a flake", cores, evaluation(inFlake), "nix ",
			" --option cores 2 --option substituters a b ", "--impure"},
		{"and for builds", cores, build(BuilderOptions{}, ""), "nix-store --serve ",
			" --option cores 2 --option substituters a b /nix/store/x.drv ", "builders"},
		// The host's daemon would obey it as root.
		{"but never for a copy", cores, copying(CopyOptions{}), "nix ",
			" copy ", "option"},

		{"a file is evaluated impurely, as <nixpkgs> needs it, and derivations are written", Tool{}, evaluation(inFile), "nix-instantiate ",
			" --eval --strict --read-write-mode --expr EXPR -A head -A n0", "pure"},
		{"meta.machinesFile names the builders", Tool{}, build(BuilderOptions{MachinesFile: "/etc/my machines"}, ""), "nix-store --serve ",
			" --option builders @/etc/my machines", ""},
		// The last one counts.
		{"whatever --nix-option says of them", Tool{Options: [][2]string{{"builders", "ssh://other"}}}, build(BuilderOptions{MachinesFile: "/m"}, ""), "nix-store --serve ",
			" --option builders ssh://other --option builders @/m ", ""},
		{"--build-jobs is max-jobs, whatever --nix-option says of that", Tool{Options: [][2]string{{"max-jobs", "1"}}}, build(BuilderOptions{Jobs: "auto"}, ""), "nix-store --serve ",
			" --option max-jobs 1 --option max-jobs auto /nix/store/x.drv", ""},
		{"derivations are copied themselves for hosts that build", Tool{}, copying(CopyOptions{Recipe: true}), "nix ",
			" --derivation /nix/store/x", ""},
		{"systems go to a cache together, and options stay here", cores, func(t *testing.T, tool Tool) error {
			b := tool.NewBuilder(BuilderOptions{})
			defer b.Close()
			return b.Cache("s3://bucket?region=x").Put(t.Context(), "/nix/store/x", nil)
		}, "nix ", " copy --no-check-sigs --to s3://bucket?region=x /nix/store/x ", "option"},
		{"one that comes later looks often at what another builds", Tool{}, build(BuilderOptions{}, ""), "nix-store --serve ",
			"\nnix-store --realise --keep-going --log-format internal-json --no-gc-warning --option build-poll-interval 1 /nix/store/x.drv", ""},
		{"--keep-result makes a root", Tool{}, build(BuilderOptions{}, "/hives/.gcroots/node-a"), "nix-store --serve ",
			"\nnix-store --realise " + unbuilt + " --add-root /hives/.gcroots/node-a", ""},

		{"hosts fetch from their substituters", Tool{}, copying(CopyOptions{Substitute: true}), "nix ",
			" --to unix:///tmp/a b/socket --substitute-on-destination /nix/store/x", ""},
		{"only when they may", Tool{}, copying(CopyOptions{}), "nix ",
			" --to unix:///tmp/a b/socket /nix/store/x", "substitute"},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := evaluated
			if c.begin == "nix-instantiate " {
				answer = aHead
			}
			calls := fakeNix(t, answer)
			if err := c.run(t, c.tool); err != nil {
				t.Fatal(err)
			}
			made := strings.Join(calls(), "\n")
			if !strings.HasPrefix(made, c.begin) || !strings.Contains(made+" ", c.has) {
				t.Errorf("%s\ndoes not begin with %q or lacks %q", made, c.begin, c.has)
			}
			if c.lacks != "" && strings.Contains(made, c.lacks) {
				t.Errorf("%s\nhas %q", made, c.lacks)
			}
		})
	}
}

// The answers lead through every output that a flake may have its hive in.
func TestAFlakeIsEvaluatedPurelyUnlessItMayBeImpure(t *testing.T) {
	const meta = `{"path":"/nix/store/x-source","locked":{"narHash":"sha256-a+b/c="}}`
	for _, impure := range []bool{false, true} {
		calls := fakeNix(t, refused, refused, meta, refused, refused, evaluated)
		if err := evaluateAll(t, Tool{Impure: impure}, inFlake); err != nil {
			t.Fatal(err)
		}
		var evals []string
		for _, call := range calls() {
			if strings.Contains(call, " eval ") {
				evals = append(evals, call)
			}
		}
		if len(evals) != 5 {
			t.Fatalf("%d evaluations, want 5:\n%s", len(evals), strings.Join(evals, "\n"))
		}
		for _, call := range evals {
			if strings.Contains(call, "--impure") != impure {
				t.Errorf("impure is %t: %s", impure, call)
			}
		}
	}
}

// What is older than the log format says so in plain words.
func TestANixThatIsTooOldIsTold(t *testing.T) {
	fakeNix(t)
	dir, _, _ := strings.Cut(os.Getenv("PATH"), ":")
	script := "#!/bin/sh\necho \"error: unrecognised flag '--extra-experimental-features'\" >&2\nexit 1\n"
	for _, name := range []string{"nix", "nix-instantiate"} {
		if err := os.WriteFile(dir+"/"+name, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, source := range []Source{inFile, inFlake} {
		if err := evaluateAll(t, Tool{}, source); err == nil || !strings.Contains(err.Error(), "Nix 2.8 or newer is needed") {
			t.Errorf("%s: %v", source, err)
		}
	}
}
