package ask

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/colmena-go/colmena-go/pkg/child"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// source decides between the terminal and a program as ssh(1) does: without a
// terminal the program of SSH_ASKPASS, which SSH_ASKPASS_REQUIRE makes never, always
// (force) or rather (prefer) the one that answers. ssh wants DISPLAY to be set where
// nothing is required; here a program that is named is enough, as in CI.
func (a *Asker) source(kind Kind) (program string, tty bool, err error) {
	variable := kind.variable()
	if variable == "" {
		return "", true, a.CanLend()
	}
	program = a.getenv(variable)
	switch strings.ToLower(a.getenv("SSH_ASKPASS_REQUIRE")) {
	case "never":
		program = ""
	case "force":
		if program == "" {
			return "", false, fmt.Errorf("%w: SSH_ASKPASS_REQUIRE is force, but %s names no program", ErrNobody, variable)
		}
		return program, false, nil
	case "prefer":
		if program != "" {
			return program, false, nil
		}
	}
	if file, err := a.open(); err == nil {
		file.Close()
		return "", true, nil
	}
	if program == "" {
		return "", false, fmt.Errorf("%w: there is no terminal, and %s names no program", ErrNobody, variable)
	}
	return program, false, nil
}

// askProgram has an askpass program ask, whose answer is its first line.
func askProgram(ctx context.Context, program string, q Question) (answer secret.Secret, err error) {
	prompt := from(q.Who) + line(q.Text) + ": "
	if q.Heard != "" {
		prompt = heard(q) + prompt
	}
	cmd := exec.CommandContext(ctx, program, prompt)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	said := &answerBuffer{}
	defer said.wipe()
	cmd.Stdout = said
	switch err := child.Run(cmd, syscall.SIGKILL, nil); {
	case ctx.Err() != nil:
		return answer, context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission):
		return answer, fmt.Errorf("%w: %s cannot be started, which %s names: %w", ErrNobody, program, q.Kind.variable(), err)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return answer, fmt.Errorf("%w: %s, which %s names, ended with %w", ErrNoAnswer, program, q.Kind.variable(), err)
	case said.tooLong:
		return answer, errTooLong
	}
	first, _, _ := bytes.Cut(said.text[:said.n], []byte("\n"))
	return secret.New(bytes.Clone(bytes.TrimSuffix(first, []byte("\r")))), nil
}

// maxAnswer is how long an answer may be, in bytes: a line of a terminal.
const maxAnswer = 4096

var errTooLong = fmt.Errorf("%w: it is longer than %d bytes", ErrNoAnswer, maxAnswer-1)

// answerBuffer holds an answer in memory that can be overwritten.
type answerBuffer struct {
	text    [maxAnswer]byte
	n       int
	tooLong bool
}

func (b *answerBuffer) Write(p []byte) (int, error) {
	n := copy(b.text[b.n:], p)
	b.n += n
	b.tooLong = b.tooLong || n < len(p)
	return len(p), nil
}

func (b *answerBuffer) wipe() { clear(b.text[:]) }
