package ask

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// openTerminal opens the terminal that this process can be stopped from, if it has
// one.
func openTerminal() (*os.File, error) { return os.OpenFile("/dev/tty", os.O_RDWR, 0) }

// terminal is the one we ask on, and how it was set before.
type terminal struct {
	file   *os.File
	before *unix.Termios
}

// askTerminal shows the question and reads a line. To be stopped (^Z) and continued
// asks anew.
func (a *Asker) askTerminal(ctx context.Context, q Question) (answer secret.Secret, err error) {
	file, err := a.open()
	if err != nil {
		return answer, fmt.Errorf("%w: there is no terminal", ErrNobody)
	}
	defer file.Close()
	t := &terminal{file: file}
	signals := make(chan os.Signal, 4)
	defer signal.Stop(signals)
	a.typed.Store(true)
	defer a.typed.Store(false)
	for {
		if err := t.awaitForeground(ctx, a.note); err != nil {
			return answer, err
		}
		signal.Notify(signals, syscall.SIGTSTP, syscall.SIGCONT, syscall.SIGQUIT)
		release := a.hold(ctx)
		answer, stopped, err := t.once(ctx, q, signals)
		release()
		signal.Stop(signals)
		switch {
		case !stopped:
			return answer, err
		case len(signals) > 0: // continued, or to quit
			if <-signals == syscall.SIGQUIT {
				quit()
			}
			drain(signals)
		default:
			stop(signals)
		}
	}
}

// once asks until there is an answer or a signal of job control.
func (t *terminal) once(ctx context.Context, q Question, signals chan os.Signal) (answer secret.Secret, stopped bool, err error) {
	if err := t.save(); err != nil {
		return answer, false, err
	}
	defer t.restore()
	if err := t.quiet(q.Echo); err != nil {
		return answer, false, err
	}
	if q.Heard != "" {
		t.print(heard(q))
	}
	t.print(from(q.Who) + line(q.Text) + ": ")
	type read struct {
		answer secret.Secret
		err    error
	}
	done := make(chan read, 1)
	t.file.SetReadDeadline(time.Time{})
	go func() {
		defer crash.Guard()
		answer, err := readLine(t.file)
		done <- read{answer, err}
	}()
	select {
	case r := <-done:
		if !q.Echo || r.err != nil {
			t.print("\n")
		}
		return r.answer, false, r.err
	case s := <-signals:
		stopped = true
		if s != syscall.SIGTSTP {
			signals <- s
		}
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	t.print("\n")
	if t.file.SetReadDeadline(time.Unix(1, 0)) == nil {
		(<-done).answer.Wipe()
	}
	return answer, stopped, err
}

// readLine reads a line without its end.
func readLine(file io.Reader) (answer secret.Secret, err error) {
	var text [maxAnswer]byte
	defer clear(text[:])
	n, err := file.Read(text[:])
	switch end := bytes.IndexByte(text[:n], '\n'); {
	case end >= 0:
		return secret.New(bytes.Clone(text[:end])), nil
	case n >= maxAnswer-1:
		return answer, errTooLong
	case n > 0: // ^D behind it
		return secret.New(bytes.Clone(text[:n])), nil
	case err == nil, errors.Is(err, io.EOF):
		return answer, ErrNoAnswer
	}
	return answer, fmt.Errorf("%w: the terminal cannot be read: %w", ErrNoAnswer, err)
}

// Suspend stops the process as SIGTSTP does where nobody hears of it, and returns when it
// is continued. It does nothing while a question is asked on the terminal, which does
// that itself.
func (a *Asker) Suspend() {
	if a.typed.Load() {
		return
	}
	signals := make(chan os.Signal, 4)
	stop(signals)
	signal.Stop(signals)
}

// stop stops the process as SIGTSTP does where nobody hears of it, and returns when
// it is continued. Go gives the signal its old meaning back only in name (signal.Reset).
func stop(signals chan os.Signal) {
	if !continuable() {
		return
	}
	signal.Notify(signals, syscall.SIGCONT)
	syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	select {
	case <-signals:
	case <-time.After(time.Second):
	}
	signal.Stop(signals)
	drain(signals)
}

// quit ends the process as SIGQUIT does where nobody hears of it: Go shows what it was
// doing. It is called with the terminal as it was.
func quit() {
	syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	time.Sleep(time.Second) // it comes in that time
}

// continuable reports whether there is a shell with job control, which leads the
// session from a process group of its own. Otherwise who stops does so for ever.
func continuable() bool {
	leader, err := unix.Getsid(0)
	if err != nil {
		return false
	}
	group, err := unix.Getpgid(leader)
	return err == nil && group != unix.Getpgrp()
}

func drain(signals chan os.Signal) {
	for len(signals) > 0 {
		<-signals
	}
}

// look is how often we see whether we may use the terminal.
const look = 100 * time.Millisecond

// awaitForeground waits until we may read from the terminal: who does so in the
// background is stopped, with all that goes on.
func (t *terminal) awaitForeground(ctx context.Context, note func(string)) error {
	limited, cancel := context.WithTimeoutCause(ctx, AnswerLimit, fmt.Errorf("%w: the program runs in the background", ErrNobody))
	defer cancel()
	for told := false; !t.ours(); {
		if !told {
			told = true
			note("a question waits until the program is brought to the foreground (fg)")
		}
		select {
		case <-limited.Done():
			return context.Cause(limited)
		case <-time.After(look):
		}
	}
	return nil
}

// ours reports whether ours is the terminal's process group, or there is no
// telling.
func (t *terminal) ours() bool {
	group := 0
	err := t.control(func(fd int) (err error) {
		group, err = unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		return err
	})
	return err != nil || group == unix.Getpgrp()
}

// save remembers how the terminal is set.
func (t *terminal) save() error {
	return t.control(func(fd int) (err error) {
		t.before, err = unix.IoctlGetTermios(fd, getTermios)
		return err
	})
}

// quiet has a line read, and hides what is typed unless it may be seen. What was
// typed before is forgotten: it was meant for somebody else. ^\ is no way out, as Go
// would leave without restoring anything.
func (t *terminal) quiet(echo bool) error {
	settings := *t.before
	settings.Lflag |= unix.ICANON | unix.ISIG
	settings.Iflag |= unix.ICRNL
	settings.Cc[unix.VQUIT] = disabled
	if echo {
		settings.Lflag |= unix.ECHO
	} else {
		settings.Lflag &^= unix.ECHO | unix.ECHONL
	}
	return t.control(func(fd int) error { return unix.IoctlSetTermios(fd, setTermios, &settings) })
}

// restore undoes quiet, and what a program did to which the terminal was lent; only
// [Asker.Guard] decides about TOSTOP. What was typed and not read is forgotten: it may
// be the beginning of a password.
func (t *terminal) restore() {
	if t.before == nil {
		return
	}
	t.control(func(fd int) error {
		settings := *t.before
		if now, err := unix.IoctlGetTermios(fd, getTermios); err == nil {
			settings.Lflag = settings.Lflag&^unix.TOSTOP | now.Lflag&unix.TOSTOP
		}
		return unix.IoctlSetTermios(fd, setTermios, &settings)
	})
}

func (t *terminal) print(text string) { io.WriteString(t.file, text) }

// control runs f with the file's descriptor. Fd would make the file block for ever.
func (t *terminal) control(f func(fd int) error) error {
	raw, err := t.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}
