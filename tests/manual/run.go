package manual

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/tests/typist"
)

// Reader does what a page says, in a folder of their own.
type Reader struct {
	Dir string
	// Env has NIX_PATH, and in PATH the program.
	Env []string
	// Instead of what files and commands say, this is taken: folders of a reader, and
	// sources that only a network has.
	Instead *strings.Replacer
}

// Follow does all that a page shows, up to the first step that does not hold.
func (r Reader) Follow(t *testing.T, page Page) {
	t.Helper()
	for _, step := range page.Steps {
		if !r.does(t, page.Name, step) {
			return
		}
	}
}

func (r Reader) does(t *testing.T, page string, step Step) bool {
	t.Helper()
	fail := func(format string, args ...any) bool {
		t.Helper()
		t.Errorf("%s:%d: "+format, append([]any{page, step.Line}, args...)...)
		return false
	}
	switch step.How {
	case "shown":
		if step.Arg == "" {
			return fail("say why it is only shown")
		}
	case "file":
		if err := r.write(step.Arg, step.Text); err != nil {
			return fail("%v", err)
		}
	case "sh":
		if out, _, err := r.run(step.Text); err != nil {
			return fail("%v\n%s", err, out)
		}
	case "run":
		return r.follows(step, fail)
	case "typed":
		return r.types(t, step, fail)
	case "module":
		return r.evaluates(`{ `+common+` node = { config, lib, pkgs, ... }: {
`+step.Text+`}; }`, fail)
	case "hive":
		return r.evaluates(strings.Replace(step.Text, "{", "{ "+common, 1), fail)
	default:
		return fail("the block has no comment before it that says what becomes of it, or one with %q", step.How)
	}
	return true
}

// common is what every NixOS system must set.
const common = `defaults = { lib, ... }: {
  boot.loader.grub.enable = lib.mkDefault false; fileSystems."/".device = lib.mkDefault "/dev/vda1"; system.stateVersion = lib.mkDefault "26.05";
}; `

func (r Reader) write(name, text string) error {
	path := filepath.Join(r.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(r.instead(text)), 0o644)
}

func (r Reader) instead(text string) string {
	if r.Instead == nil {
		return text
	}
	return r.Instead.Replace(text)
}

// follows runs the commands of a block.
func (r Reader) follows(step Step, fail func(string, ...any) bool) bool {
	list := commands(step.Text)
	if len(list) == 0 {
		return fail("no line is to be run")
	}
	codes, err := codes(step.Arg, len(list))
	if err != nil {
		return fail("%v", err)
	}
	for i, c := range list {
		out, code, err := r.run(c.line)
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return fail("%s: %v", c.line, err)
		}
		if code != codes[i] {
			return fail("%s\nends with %d, not %d:\n%s", c.line, code, codes[i], out)
		}
		if line := missing(c.want, out); line != "" {
			return fail("%s\ndoes not print, there,\n%s\nbut\n%s", c.line, line, out)
		}
	}
	return true
}

// codes are what n commands end with: 0, the one that is written down, or each its own.
func codes(arg string, n int) ([]int, error) {
	words := strings.Fields(arg)
	switch len(words) {
	case 0:
		words = slices.Repeat([]string{"0"}, n)
	case 1:
		words = slices.Repeat(words, n)
	case n:
	default:
		return nil, fmt.Errorf("%d exit codes for %d commands", len(words), n)
	}
	list := make([]int, n)
	for i, word := range words {
		var err error
		if list[i], err = strconv.Atoi(word); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// types runs the command of a block on a terminal, and types there.
func (r Reader) types(t *testing.T, step Step, fail func(string, ...any) bool) bool {
	t.Helper()
	keys, text, found := strings.Cut(step.Arg, " after ")
	list := commands(step.Text)
	if !found || len(list) != 1 {
		return fail("want one command, and \"typed KEYS after TEXT\"")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := r.shell(ctx, list[0].line)
	cmd.Env = append(slices.Clone(cmd.Env), "TERM=xterm")
	session := typist.Start(t, cmd)
	session.Await(text)
	session.Type(keys + "\n")
	if code := session.Wait(); code != 0 {
		return fail("%s\nends with %d:\n%s", list[0].line, code, session.Shown())
	}
	if line := missing(list[0].want, strings.ReplaceAll(session.Shown(), "\r", "")); line != "" {
		return fail("%s\ndoes not print, there,\n%s\nbut\n%s", list[0].line, line, session.Shown())
	}
	return true
}

// patience is how long a command may take.
const patience = 2 * time.Minute

// run is how a shell runs a command, and all that it prints.
func (r Reader) run(script string) (out string, code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := r.shell(ctx, script)
	text, err := cmd.CombinedOutput()
	return string(text), cmd.ProcessState.ExitCode(), err
}

// shell is a reader's, in which variables live on.
func (r Reader) shell(ctx context.Context, script string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-ec", `set -a; [ ! -e "$1" ] || . "$1"; trap 'declare -px >"$1"' EXIT; eval "$2"`, "bash", r.Dir+".variables", r.instead(script))
	cmd.Dir, cmd.Env = r.Dir, r.Env
	return cmd
}

// evaluates asks for all that a hive's nodes say and are.
func (r Reader) evaluates(hive string, fail func(string, ...any) bool) bool {
	dir, err := os.MkdirTemp(r.Dir, "hive-")
	if err != nil {
		return fail("%v", err)
	}
	if err := r.write(filepath.Base(dir)+"/hive.nix", hive); err != nil {
		return fail("%v", err)
	}
	script := `cd '` + dir + `'
colmena-go list
colmena-go eval -E '{ nodes, ... }: builtins.mapAttrs (_: node: node.config.system.build.toplevel.drvPath) nodes'`
	if out, _, err := r.run(script); err != nil {
		return fail("%v\n%s", err, out)
	}
	return true
}
