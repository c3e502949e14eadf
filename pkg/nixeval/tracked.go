package nixeval

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// missingFile is the path of a file that is not there, in a message of Nix.
var missingFile = regexp.MustCompile(`(?:path|getting status of|(?:opening|reading) (?:file|directory)) '(/[^'\n]*)'(?:: No such file or directory| does not exist| is not tracked by Git)`)

// explainFlake adds what Nix leaves unsaid: a file that git does not track is not part
// of the flake, though it is there.
func explainFlake(ctx context.Context, source Source, err error) error {
	var eval *EvalError
	if !errors.As(err, &eval) || eval.missing == "" || source.Dir == "" {
		return err
	}
	file := source.Untracked(eval.missing)
	if root := source.repository(); file == "" && root != "" && strings.HasPrefix(eval.missing, root+"/") && exists(eval.missing) {
		file = eval.missing
	}
	if why := source.untracked(ctx, file); file != "" && why != "" {
		eval.Message += "\n(" + why + ")"
	}
	return err
}

// untracked says why a flake lacks a file that is there, or "" if that is not git's doing.
func (s Source) untracked(ctx context.Context, file string) string {
	if sub := s.submodule(file); sub != "" && !strings.Contains(s.Flake, "submodules=") {
		return fmt.Sprintf("%s is a git repository of its own, which a flake lacks unless it is told to take its submodules: --config '%s?submodules=1'", sub, s.Dir)
	}
	const holds = "and a flake holds only what git tracks"
	if names := s.others(ctx, file); len(names) > 0 {
		return fmt.Sprintf("git does not track %s here, %s: git add what it needs", strings.Join(names[:min(3, len(names))], ", "), holds)
	}
	if names := s.others(ctx, file, "--ignored"); len(names) > 0 {
		return fmt.Sprintf("git ignores %s, %s: git add --force what it needs", strings.Join(names[:min(3, len(names))], ", "), holds)
	}
	return ""
}

// others are the files that git does not track, at a path or below it.
func (s Source) others(ctx context.Context, path string, how ...string) []string {
	args := append([]string{"-C", s.Dir, "ls-files", "-z", "--others", "--exclude-standard"}, how...)
	out, err := exec.CommandContext(ctx, "git", append(args, "--", path)...).Output()
	if text := strings.TrimRight(string(out), "\x00"); err == nil && text != "" {
		return strings.Split(text, "\x00")
	}
	return nil
}

// repository is the folder of the git repository that the flake is in, or "".
func (s Source) repository() string {
	for dir := s.Dir; ; dir = filepath.Dir(dir) {
		if exists(filepath.Join(dir, ".git")) {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// submodule is the folder of a repository inside of the flake's that a file is in, or "".
func (s Source) submodule(file string) string {
	root := s.repository()
	for dir := file; root != "" && strings.HasPrefix(dir, root+"/"); dir = filepath.Dir(dir) {
		if exists(filepath.Join(dir, ".git")) {
			return dir
		}
	}
	return ""
}
