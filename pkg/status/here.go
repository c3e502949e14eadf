package status

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

// Here is a system without what it needs: one of those that a host has told of, or what
// this machine's store has, as a host would tell it. Where the store is elsewhere than its
// paths say, no more than the path is known.
func Here(toplevel string, told ...closure.System) closure.System {
	for _, system := range told {
		if system.Path == toplevel {
			return system
		}
	}
	system := closure.System{Path: toplevel}
	if _, err := os.Stat(toplevel); err != nil {
		return system
	}
	system.Version = firstLine(filepath.Join(toplevel, "nixos-version"), mostOfWord)
	system.Boot = map[string]string{}
	for _, part := range closure.BootParts {
		file := filepath.Join(toplevel, part)
		if part == "kernel-params" {
			system.Boot[part] = firstLine(file, mostOfParams)
			continue
		}
		if end, err := filepath.EvalSymlinks(file); err == nil {
			system.Boot[part] = end
		}
	}
	return system
}

// firstLine is that of a file, as [parse] would have it; "" where there is none.
func firstLine(file string, most int) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	// What goes beyond is no line that matters.
	line, err := bufio.NewReader(io.LimitReader(f, mostAround)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	return printable.Said(line, most)
}
