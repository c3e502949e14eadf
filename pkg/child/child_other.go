//go:build !linux

package child

import (
	"os/exec"
	"syscall"
)

func tie(*exec.Cmd, syscall.Signal) {}

// Kill does nothing: there is no telling whose mark a process has.
func (m Mark) Kill() {}

// Keep does nothing.
func (m Mark) Keep() (release func()) { return func() {} }

// KeepPrivate does nothing.
func KeepPrivate() {}
