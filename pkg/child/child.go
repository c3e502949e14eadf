// Package child runs programs of this machine that must not outlive us: neither
// when they fail, nor when we are killed before we can end them.
package child

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// Run is [exec.Cmd.Run] of a program that gets the signal when this process dies,
// be it of SIGKILL. Where the kernel offers no such thing it is only that. started
// is told its process id; it may be nil.
func Run(cmd *exec.Cmd, last syscall.Signal, started func(pid int)) error {
	// The kernel means the thread that started the program (prctl(2)), which must
	// not end before it, as those do that a goroutine leaves locked.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tie(cmd, last)
	if err := cmd.Start(); err != nil {
		return err
	}
	if started != nil {
		started(cmd.Process.Pid)
	}
	return cmd.Wait()
}

// Mark is a variable in the environment of one program, and so of all that it
// starts, whatever session that moves to. Its name can be no other's.
type Mark string

// NewMark returns a mark that nothing else has.
func NewMark() Mark {
	var id [16]byte
	rand.Read(id[:]) // never fails (crypto/rand)
	return Mark("COLMENA_GO_CHILD_" + hex.EncodeToString(id[:]))
}

// Put gives the program the mark; call it once Env is complete.
func (m Mark) Put(cmd *exec.Cmd) {
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, string(m)+"=1")
}
