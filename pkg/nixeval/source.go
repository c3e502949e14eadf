package nixeval

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/nix"
)

// Source is where a hive is written down.
type Source struct {
	// File is the absolute path of a hive's file, "" for a flake.
	File string
	// Flake is a flake reference, relative to Dir if Dir is set.
	Flake string
	// Dir is the flake's directory on this machine, "" for one elsewhere.
	Dir string
}

// ErrNoHive: there is no hive where it was looked for.
var ErrNoHive = errors.New("no hive found")

// String is for people: it holds no login.
func (s Source) String() string {
	switch {
	case s.File != "":
		return s.File
	case s.Dir != "":
		return "the flake in " + s.Dir
	}
	return nix.WithoutLogins(s.Flake)
}

// path is the file that an evaluation begins with, "" for one elsewhere.
func (s Source) path() string {
	if s.File == "" && s.Dir != "" {
		return filepath.Join(s.Dir, "flake.nix")
	}
	return s.File
}

// Discover finds the hive of a directory: the nearest one upwards that holds a
// flake.nix or else a hive.nix. It fails with [ErrNoHive].
func Discover(dir string) (Source, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Source{}, err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if s, err := inDir(at); err == nil {
			return s, nil
		}
		if at == filepath.Dir(at) {
			return Source{}, fmt.Errorf("%w: neither flake.nix nor hive.nix is in %s or above it; say where it is with --config", ErrNoHive, dir)
		}
	}
}

func inDir(dir string) (Source, error) {
	if isFile(filepath.Join(dir, "flake.nix")) {
		return Source{Flake: ".", Dir: dir}, nil
	}
	if file := filepath.Join(dir, "hive.nix"); isFile(file) {
		return Source{File: file}, nil
	}
	return Source{}, fmt.Errorf("%w: %s holds neither flake.nix nor hive.nix", ErrNoHive, dir)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// ParseSource reads a --config argument: a file, a directory or a flake's URI.
// It fails with [ErrNoHive].
func ParseSource(text string) (Source, error) {
	info, err := os.Stat(text)
	switch {
	case err == nil && info.IsDir():
		dir, err := filepath.Abs(text)
		if err != nil {
			return Source{}, err
		}
		return inDir(dir)
	case err == nil:
		file, err := filepath.Abs(text)
		if err != nil {
			return Source{}, err
		}
		if filepath.Base(file) == "flake.nix" {
			return Source{Flake: ".", Dir: filepath.Dir(file)}, nil
		}
		return Source{File: file}, nil
	case !isURI(text) && isDir(beforeAny(text, "#")):
		return Source{}, withFragment(text)
	case !isURI(text) && isDir(beforeAny(text, "?")):
		return withQuery(text)
	case errors.Is(err, fs.ErrNotExist) && !isURI(text):
		return Source{}, fmt.Errorf("%w: there is no %s", ErrNoHive, nix.WithoutLogins(text))
	case !isURI(text):
		return Source{}, fmt.Errorf("%w: %s", ErrNoHive, nix.WithoutLogins(err.Error()))
	case strings.Contains(text, "#"):
		return Source{}, withFragment(text)
	}
	return Source{Flake: text}, nil
}

func withFragment(text string) error {
	return fmt.Errorf("%w: leave out what follows the # in %s: the output is chosen by colmena-go", ErrNoHive, nix.WithoutLogins(text))
}

// withQuery reads PATH?QUERY, where PATH is a directory. Nix takes such a
// reference for the flake of the directory itself, so `dir` becomes part of that.
func withQuery(text string) (Source, error) {
	path, rest, _ := strings.Cut(text, "?")
	query, err := url.ParseQuery(rest)
	if err != nil {
		return Source{}, fmt.Errorf("%w: %s: %w", ErrNoHive, nix.WithoutLogins(text), err)
	}
	dir, err := filepath.Abs(filepath.Join(path, query.Get("dir")))
	if err != nil {
		return Source{}, err
	}
	if !isFile(filepath.Join(dir, "flake.nix")) {
		return Source{}, fmt.Errorf("%w: %s holds no flake.nix", ErrNoHive, dir)
	}
	query.Del("dir")
	s := Source{Flake: ".", Dir: dir}
	if len(query) > 0 {
		s.Flake += "?" + query.Encode()
	}
	return s, nil
}

func beforeAny(text, mark string) string {
	before, _, found := strings.Cut(text, mark)
	if !found {
		return ""
	}
	return before
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Beside is the hive.nix in the folder of a flake, for one that has no hive.
func (s Source) Beside() (hive Source, there bool) {
	file := filepath.Join(s.Dir, "hive.nix")
	return Source{File: file}, s.File == "" && s.Dir != "" && isFile(file)
}

// isURI tells a flake reference from a path: a scheme, or a name of the
// registry (nix3-flake(1)).
func isURI(text string) bool {
	scheme, _, found := strings.Cut(text, ":")
	return found && scheme != "" && !strings.ContainsAny(scheme, "/ ") || strings.HasPrefix(text, "flake:")
}

// flakeCopy takes a path of a flake's copy in the store apart.
var flakeCopy = regexp.MustCompile(`^/nix/store/[0-9a-z]{32}-source/(.+)$`)

// Untracked is the file beside the flake that a path in the flake's copy in the
// store was meant to be, where the copy lacks it as git does not track it; or "".
func (s Source) Untracked(path string) string {
	found := flakeCopy.FindStringSubmatch(path)
	if s.Dir == "" || found == nil || exists(path) {
		return ""
	}
	// The copy is one of the whole repository.
	for dir := s.Dir; ; dir = filepath.Dir(dir) {
		if file := filepath.Join(dir, found[1]); exists(file) {
			return file
		}
		if exists(filepath.Join(dir, ".git")) || dir == filepath.Dir(dir) {
			return ""
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
