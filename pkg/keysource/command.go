package keysource

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/colmena-go/colmena-go/pkg/secret"
)

// pipeGrace is how long a command's output may stay open after its end, held
// by a program that it left behind.
const pipeGrace = 2 * time.Second

// command runs a keyCommand without a shell and takes its stdout. It has no
// stdin and no terminal: it is one of many and cannot be talked to, and asking
// for a passphrase must fail at once rather than wait in the background.
func (r *Resolver) command(ctx context.Context, argv []string) (secret.Secret, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return secret.Secret{}, context.Cause(ctx)
	}
	timeout := r.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, ErrTimeout)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// A session of its own can be killed whole and owns no terminal.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = pipeGrace
	stdout := &bounded{overflow: func() { stop(ErrTooLarge) }}
	stderr := &ending{}
	cmd.Stdout, cmd.Stderr = stdout, stderr

	err := cmd.Run()
	if cmd.Process != nil && err != nil {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left behind
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrTimeout):
		return secret.Secret{}, fmt.Errorf("%w: %s was killed after %s%s%s", ErrTimeout, argv[0], timeout, stderr.without(stdout.content), stderr.advice())
	case errors.Is(cause, ErrTooLarge):
		return secret.Secret{}, fmt.Errorf("the output of %s is %w: at most %d bytes are sent", argv[0], ErrTooLarge, int64(MaxSize))
	case cause != nil:
		return secret.Secret{}, cause
	case errors.Is(err, exec.ErrWaitDelay):
		return secret.Secret{}, fmt.Errorf("%w: %s ended, but a program it left behind holds its output open", ErrCommand, argv[0])
	case err != nil:
		return secret.Secret{}, fmt.Errorf("%w: %s: %w%s%s", ErrCommand, argv[0], startError(err), stderr.without(stdout.content), stderr.advice())
	}
	return secret.New(stdout.content), nil
}

// startError leaves out the program's name, which the message has already.
func startError(err error) error {
	var start *exec.Error
	if errors.As(err, &start) {
		return start.Err
	}
	return err
}

// bounded keeps at most MaxSize bytes.
type bounded struct {
	content  []byte
	overflow func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(b.content)+len(p) > MaxSize {
		b.overflow()
		return 0, ErrTooLarge
	}
	b.content = append(b.content, p...)
	return len(p), nil
}

// ending keeps the last of what is written to it.
type ending struct {
	content []byte
	cut     bool // the first line lacks its beginning
}

// What is shown of a failed command's stderr.
const (
	endingSize  = 16 << 10
	endingLines = 10
)

func (e *ending) Write(p []byte) (int, error) {
	e.content = append(e.content, p...)
	if extra := len(e.content) - endingSize; extra > 0 {
		e.content, e.cut = append(e.content[:0], e.content[extra:]...), true
	}
	return len(p), nil
}

// hidden stands for a line of stderr that repeats the secret.
const hidden = "[a line that repeats the command's output is not shown]"

// without is the last lines of stderr, each on a line of its own, without
// those that repeat something of the command's stdout.
func (e *ending) without(stdout []byte) string {
	lines := strings.Split(strings.TrimSpace(string(e.content)), "\n")
	if e.cut {
		lines = lines[1:]
	}
	if len(lines) == 0 || len(lines) == 1 && lines[0] == "" {
		return ""
	}
	lines = lines[max(0, len(lines)-endingLines):]
	secrets := parts(stdout)
	var b strings.Builder
	for _, line := range lines {
		if secrets.in(line) {
			line = hidden
		}
		b.WriteString("\n    " + strings.TrimRight(line, "\r"))
	}
	return b.String()
}

// pieces are the words of a secret, such as the value in NAME=value or in JSON.
type pieces map[string]bool

// short is the length under which a word is taken for a secret only where a
// line says nothing else: "a" is in every message.
const short = 4

func parts(secret []byte) pieces {
	words := pieces{}
	for _, line := range strings.FieldsFunc(string(secret), func(r rune) bool { return r == '\n' || r == '\r' || r == 0 }) {
		words[strings.TrimSpace(line)] = true
		for _, word := range strings.FieldsFunc(line, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("=:,;\"'`{}[]()<>", r) }) {
			words[word] = true
		}
	}
	delete(words, "")
	return words
}

func (p pieces) in(line string) bool {
	for word := range p {
		if strings.TrimSpace(line) == word || len(word) >= short && strings.Contains(line, word) {
			return true
		}
	}
	return false
}

// asks: what programs say that want to be told something.
var asks = regexp.MustCompile(`(?i)pass(phrase|word|code)|\bPIN\b|/dev/tty|terminal`)

// advice is for a command that seems to have asked in vain.
func (e *ending) advice() string {
	if !asks.Match(e.content) {
		return ""
	}
	return "\n(a keyCommand has no terminal and no input: unlock what it asks for before, as with an agent)"
}
