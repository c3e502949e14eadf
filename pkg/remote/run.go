package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/escalation"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

// ExitError is a command that ended without success.
type ExitError struct {
	Status int
	Signal string // "TERM", ...; "" unless a signal ended it
}

func (e *ExitError) Error() string {
	if e.Signal != "" {
		return "the command on the host was ended by signal " + e.Signal
	}
	return fmt.Sprintf("the command on the host ended with status %d", e.Status)
}

// ExitStatus is the command's exit status.
func (e *ExitError) ExitStatus() int { return e.Status }

// cancelGrace is how long a host may take to end a cancelled command.
const cancelGrace = 3 * time.Second

// Run runs a command as root and returns when it has ended and its output is
// written. The command must mean the same in every login shell. nil stdin is an
// empty one, nil stdout or stderr discards. It fails with an [*ExitError], with
// [ErrConnectionLost], or with the cause of ctx, which closes the channel at
// once; and with the error of a Write, which does so too, or else a host that
// nobody listens to would wait for ever. stdin is read once the command runs; if
// it blocks in Read, the caller must close it afterwards. Where a password makes us
// root it is handed over first, and [escalation.ErrRefused] is one that is wrong.
func (h *Host) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	if h.password == nil {
		return h.runAs(ctx, h.asRoot(h.program.Silent(), command), stdin, stdout, stderr)
	}
	call := h.program.Call(*h.password)
	defer call.Close()
	err := h.runAs(ctx, h.asRoot(call.Words, command), call.Stdin(stdin), call.Stdout(stdout), call.Stderr(stderr))
	if exit := (*ExitError)(nil); errors.As(err, &exit) {
		call.Ended()
	}
	if err != nil && ctx.Err() == nil && call.Refused() {
		return escalation.ErrRefused
	}
	return err
}

// asUser runs commands as the user of the login.
type asUser struct{ *Host }

// Run is [Host.Run] without the privileges.
func (h asUser) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	return h.runAs(ctx, command, stdin, stdout, stderr)
}

func (h *Host) runAs(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	return h.run(ctx, call{command: command, stdin: stdin, stdout: stdout, stderr: stderr})
}

// call is a command with what goes in and comes out.
type call struct {
	command        string
	terminal       *Terminal // nil for none
	stdin          io.Reader
	stdout, stderr io.Writer
}

func (h *Host) run(ctx context.Context, c call) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	finished := make(chan struct{})
	defer close(finished)
	select {
	case h.channels <- struct{}{}:
		defer func() { <-h.channels }()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-h.ended:
		return ErrConnectionLost
	}
	// Without an answer from the host, opening or closing a channel would wait
	// for the keepalive to give up: a cancelled command does not.
	giveUpOn := func(conn Conn) func() bool {
		return context.AfterFunc(ctx, func() {
			select {
			case <-h.ended:
			case <-time.After(cancelGrace):
				conn.Close()
			case <-finished:
			}
		})
	}
	opening := giveUpOn(h.conn)
	session, err := h.session(ctx, c.command)
	opening()
	if err != nil {
		return explain(ctx, err)
	}
	defer session.free()
	defer giveUpOn(session.conn)()
	defer context.AfterFunc(ctx, func() { session.Close() })()
	if c.terminal != nil {
		stop, err := c.terminal.give(session.Session)
		if err != nil {
			return explain(ctx, err)
		}
		defer stop()
	}
	in, err := session.Start(ending(c.stdout, giveUp), ending(c.stderr, giveUp))
	if err != nil {
		return explain(ctx, err)
	}
	go func() { // ends with stdin, which the caller closes
		defer crash.Guard()
		if c.stdin != nil {
			copyAll(in, c.stdin)
		}
		in.Close()
	}()
	return explain(ctx, session.Wait())
}

// ending is w, and ends the command with the error of a Write that fails or
// panics: x/crypto would neither read on nor tell.
func ending(w io.Writer, end context.CancelCauseFunc) io.Writer {
	if w == nil {
		w = io.Discard
	}
	return endingWriter{crash.Writer(w), end}
}

type endingWriter struct {
	next io.Writer
	end  context.CancelCauseFunc
}

func (w endingWriter) Write(p []byte) (int, error) {
	n, err := w.next.Write(p)
	if err != nil {
		w.end(err)
	}
	return n, err
}

// ReadFrom implements [io.ReaderFrom], for x/crypto.
func (w endingWriter) ReadFrom(r io.Reader) (int64, error) { return copyAll(w, r) }

// explain has the end of ctx go before all else, and says what to do.
func explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil: // even a success may be that of a command cut short
		return context.Cause(ctx)
	case errors.Is(err, errRefused):
		return fmt.Errorf("%w, not even one: raise MaxSessions in its sshd_config(5)", err)
	}
	return err
}

// asRoot puts the words that make it root's before a command.
func (h *Host) asRoot(words []string, command string) string {
	line := strings.Join(append(quoted(words), command), " ")
	if !h.terminal || len(words) == 0 {
		return line
	}
	return onTerminal + " sh " + quote(line)
}

// onTerminal runs a line with a terminal that it does not read from or write to, for
// programs that refuse to run without one. script(1) is part of util-linux.
const onTerminal = `sh -c 'exec 3<&0 4>&1 5>&2; SHELL=/bin/sh exec script -qec "{ $1
} <&3 >&4 2>&5 3<&- 4>&- 5>&-" /dev/null </dev/null >/dev/null 2>&1'`

// quote leaves plain words alone, since a quoted first word is no command in
// nushell, and quotes the others for POSIX shells and fish.
func quote(word string) string {
	plain := word != "" && strings.IndexFunc(word, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-+./:=@%,", r))
	}) < 0
	if plain {
		return word
	}
	return hostscript.Quote(word)
}

func quoted(words []string) []string {
	all := make([]string, 0, len(words)+1)
	for _, word := range words {
		all = append(all, quote(word))
	}
	return all
}
