//go:build !linux

package fleet

import (
	"errors"
	"os/exec"
)

// Other systems have no such namespaces: there this only compiles.

func tie(*exec.Cmd) {}

func mountMemory(string) error { return errors.New("hosts need Linux") }
