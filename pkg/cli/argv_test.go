package cli

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func TestFlagsMayStandAnywhere(t *testing.T) {
	for line, want := range map[string]string{
		"apply":                                  "apply --",
		"apply --on a":                           "apply --on=a --",
		"apply switch --on a":                    "apply --on=a -- switch",
		"--on a apply switch":                    "apply --on=a -- switch",
		"apply switch -f x":                      "--config=x apply -- switch",
		"apply --on a,b":                         "apply --on=a,b --",
		"apply --on=a=b":                         "apply --on=a=b --",
		"apply -p 5":                             "apply --parallel=5 --",
		"apply -p5":                              "apply --parallel=5 --",
		"apply -p=5":                             "apply --parallel=5 --",
		"apply -vp5 boot":                        "apply --verbose --parallel=5 -- boot",
		"apply --on -x":                          "apply --on=-x --",
		"apply --no-substitutes":                 "apply --no-substitute --",
		"--nix-option cores 2 list":              "--nix-option=cores=2 list --",
		"list --nix-option a b=c --json":         "--nix-option=a=b=c list --json --",
		"list --nix-option=a b":                  "--nix-option=a=b list --",
		"list --nix-option a -1":                 "--nix-option=a=-1 list --",
		"list --nix-option a b --nix-option c d": "--nix-option=a=b --nix-option=c=d list --",
		"apply -- -v":                            "apply -- -v",
		"apply --help":                           "apply --help --",
		"-h":                                     "--help",
		"apply -h switch":                        "apply --help -- switch",
		"--version":                              "--version",
		"help apply":                             "help -- apply",
		"-V":                                     "--version",
		"--on a exec -p 3 -- x -y":               "exec --on=a --parallel=3 -- x -y",
		"exec -p 3 ls -la --one a":               "exec --parallel=3 -- ls -la --one a",
		"exec --on a ls -la --on b":              "exec --on=a -- ls -la --on b",
		"exec -p 3 -- ls -la --on a":             "exec --parallel=3 -- ls -la --on a",
		"exec -- -x -- y":                        "exec -- -x -- y",
		"-f x exec --json -- ls":                 "--config=x exec --json -- ls",
		"":                                       "",
	} {
		got, err := arrange(newApp(io.Discard, io.Discard), append([]string{"colmena-go"}, strings.Fields(line)...))
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		if text := strings.Join(got[1:], " "); text != want {
			t.Errorf("%q\n became %q\n   want %q", line, text, want)
		}
	}
}

func TestNoErrorShowsAnOptionsValue(t *testing.T) {
	for _, line := range []string{"list --nix-option access-tokens=hunter2", "list --nix-option access-tokens=hunter2 x", "list --nix-option=access-tokens=hunter2"} {
		_, err := arrange(newApp(io.Discard, io.Discard), append([]string{"colmena-go"}, strings.Fields(line)...))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestAWrongCommandLineIsNeverHalfUnderstood(t *testing.T) {
	for line, want := range map[string]string{
		"aplpy":                      `no command "aplpy"; did you mean apply?`,
		"apply --verbos":             "no flag --verbos; did you mean --verbose?",
		"apply --zzz":                "no flag --zzz",
		"apply -x":                   "no flag -x",
		"apply -vx":                  "no flag -x",
		"apply --v":                  "no flag --v",
		"apply --on":                 "--on needs a value",
		"apply -p":                   "-p needs a value",
		"apply --on a --on b":        "--on is given twice",
		"apply -p 1 --parallel 2":    "--parallel is given twice",
		"apply --verbose=yes":        "--verbose takes no value",
		"apply --nix-option a":       "--nix-option needs two values",
		"apply --nix-option":         "--nix-option needs two values",
		"list --parallel 3":          "`list` has no flag --parallel",
		"list -v":                    "`list` has no flag -v",
		"--on a":                     "--on needs a command",
		"list --nix-option a=b c":    "two values, each a word of its own: --nix-option NAME VALUE",
		"list --nix-option=-a b":     "--nix-option needs two values",
		"list --nix-option= b":       "--nix-option needs two values",
		"boot":                       `no command "boot"; did you mean apply boot?`,
		"deploy":                     `no command "deploy"; did you mean apply?`,
		"apply --boot":               "no flag --boot; did you mean apply boot?",
		"build --cores 3":            "no flag --cores; did you mean --nix-option cores N?",
		"apply --flake .":            "no flag --flake; did you mean --config?",
		"apply -on a":                "no flag -o; did you mean --on?",
		"help me":                    `no help for "me"`,
		"exec uptime --on a":         "--on after exec's command selects no nodes: write `colmena-go exec --on NODES -- COMMAND`, or `colmena-go exec -- COMMAND` where it is the command's own",
		"exec ls -la --exclude=a":    "--exclude after exec's command selects no nodes",
		"exec --on a ls --exclude b": "--exclude after exec's command selects no nodes",
		"exec -p 3 ls -- --on a":     "--on after exec's command selects no nodes",
	} {
		got, err := arrange(newApp(io.Discard, io.Discard), append([]string{"colmena-go"}, strings.Fields(line)...))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q became %q, error %v; want one that says %s", line, got, err, want)
			continue
		}
		if exitCode(err) != ExitUsage {
			t.Errorf("%q: exit code %d, want %d", line, exitCode(err), ExitUsage)
		}
	}
}

// A hint that names no flag or command of ours would send people nowhere.
func TestHintsNameWhatThereIs(t *testing.T) {
	app := newApp(io.Discard, io.Discard)
	a := arrangement{app: app}
	for word, hint := range elsewhere {
		first, _, _ := strings.Cut(hint, " ")
		name, flag := strings.CutPrefix(first, "--")
		switch {
		case flag && a.find(name) == nil, !flag && app.Command(first) == nil && !strings.HasPrefix(hint, "deployment.") && !strings.HasPrefix(hint, "the variable"):
			t.Errorf("%s: there is no %s", word, first)
		}
		if name, flag := strings.CutPrefix(word, "--"); flag && a.find(name) != nil || !flag && app.Command(word) != nil {
			t.Errorf("%s is there", word)
		}
	}
}

// What is in order already stays as it is: no word is lost, and none turns into
// something else.
func FuzzArrange(f *testing.F) {
	f.Add("apply\x00--on\x00a,b\x00switch")
	f.Add("-vp5\x00upload-keys\x00--\x00--json")
	f.Add("--color\x00\x00-\x00apply")
	f.Add("apply\x00-\x00--\x00--")
	f.Fuzz(func(t *testing.T, line string) {
		if strings.Contains(line, pairFlag) {
			return // its two values become one
		}
		app := newApp(io.Discard, io.Discard)
		once, err := arrange(app, append([]string{"colmena-go"}, strings.Split(line, "\x00")...))
		if err != nil {
			return
		}
		twice, err := arrange(app, once)
		if err != nil || !slices.Equal(once, twice) {
			t.Errorf("%q became %q, then %q (%v)", line, once, twice, err)
		}
	})
}
