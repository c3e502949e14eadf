package ask

import (
	"context"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// Job is a program that may ask on the terminal itself. It runs behind it, in a
// process group of its own, as many may at once: who wants to read there is stopped by
// the kernel (SIGTTIN) before it can, and continued in the foreground when its turn
// has come.
type Job struct {
	Who, Text string          // say who asks, see [Asker.Lend]
	Group     int             // the process group, and the child of ours that leads it
	Ended     <-chan struct{} // closed when that was waited for

	Wait func() // called when it wants the terminal
	// Begin is called when it has it, before it goes on: tty may be written to until it
	// ends. It is nil where a program of another session was at work there, as pinentry
	// is for gpg-agent, and is no more.
	Begin func(tty io.Writer)
}

// CanAttend reports whether there is a terminal to lend to jobs: nil, or [ErrNobody].
func (a *Asker) CanAttend() error {
	if !jobControl {
		return ErrNobody
	}
	return a.CanLend()
}

// Attend watches a job until it has ended and lends it the terminal once it wants to
// read there; then it has it to its end. Whoever asks is seen to wait: a job that
// writes to the terminal before its turn is stopped, too. With ^Z the job is stopped
// together with us. While a program of another session has the terminal open, whichever
// job that is for, nobody else writes there. It fails like [Asker.Lend].
func (a *Asker) Attend(ctx context.Context, j Job) error {
	for begin := time.Now(); !stopped(j.Group); {
		if over, err := j.rest(ctx); over {
			return err
		}
		if time.Since(begin) < visitAfter || !a.visited() {
			continue
		}
		j.Wait()
		if err := a.receive(ctx, j); err != nil {
			return err
		}
		j.Begin(nil)
	}
	j.Wait()
	return a.Lend(ctx, j.Who, j.Text, func(ctx context.Context, tty *os.File) error {
		t := &terminal{file: tty}
		j.Begin(behind{t})
		return a.foreground(ctx, j, t)
	})
}

// visitAfter is how long a job must have run before we look for who works for it.
const visitAfter = 300 * time.Millisecond

// visited reports whether a program of another session has come to the terminal since
// the first job. It looks no more often than that makes sense.
func (a *Asker) visited() bool {
	a.visiting.Lock()
	defer a.visiting.Unlock()
	if time.Since(a.looked) > 2*look {
		a.visitor, a.looked = false, time.Now()
		for pid := range visitors() {
			a.visitor = a.visitor || !a.neighbours[pid]
		}
	}
	return a.visitor
}

// receive leaves the terminal to who has come there. Nothing is written, not even who
// it is for: it may have drawn something.
func (a *Asker) receive(ctx context.Context, j Job) error {
	ctx, giveBack, err := a.take(ctx)
	if err != nil {
		return err
	}
	defer giveBack()
	defer a.hold(ctx)()
	for a.visited() {
		if over, err := j.rest(ctx); over {
			return err
		}
	}
	return nil
}

// behind writes to the terminal from the background.
type behind struct{ t *terminal }

func (w behind) Write(p []byte) (n int, err error) {
	unstopped(func() { n, err = w.t.file.Write(p) })
	return n, err
}

// foreground has the job be at work on the terminal until it has ended.
func (a *Asker) foreground(ctx context.Context, j Job, t *terminal) error {
	if err := t.save(); err != nil {
		return err
	}
	own := syscall.Getpgrp()
	defer t.giveTo(own)
	for {
		if err := t.giveTo(j.Group); err != nil {
			return err
		}
		syscall.Kill(-j.Group, syscall.SIGCONT)
		if over, err := j.awaitStop(ctx); over {
			return err
		}
		t.giveTo(own)
		t.restore()
		signals := make(chan os.Signal, 4)
		stop(signals)
		signal.Stop(signals)
		if err := t.awaitForeground(ctx, a.note); err != nil {
			return err
		}
	}
}

// rest lets some time pass until the next look at the job, unless it is over.
func (j Job) rest(ctx context.Context) (over bool, err error) {
	select {
	case <-j.Ended:
		return true, nil
	case <-ctx.Done():
		return true, context.Cause(ctx)
	case <-time.After(look):
		return false, nil
	}
}

// awaitStop waits until the job is stopped, or over.
func (j Job) awaitStop(ctx context.Context) (over bool, err error) {
	for begin := time.Now(); ; {
		if over, err := j.rest(ctx); over {
			return true, err
		}
		// Who was just continued may not yet be seen to run.
		if stopped(j.Group) && time.Since(begin) > 2*look {
			return false, nil
		}
	}
}

// Guard is to be called before a job is started, and undo when it has ended. Meanwhile
// the terminal stops programs behind it that write to it (TOSTOP, stty(1)): two
// questions at once would be answered by one.
func (a *Asker) Guard() (undo func()) {
	a.guarding.Lock()
	defer a.guarding.Unlock()
	if a.jobs++; a.jobs == 1 {
		a.guard()
	}
	return sync.OnceFunc(func() {
		a.guarding.Lock()
		defer a.guarding.Unlock()
		if a.jobs--; a.jobs == 0 && a.unguard != nil {
			a.unguard()
			a.unguard = nil
		}
	})
}

func (a *Asker) guard() {
	file, err := a.open()
	if err != nil {
		return
	}
	if a.neighbours == nil {
		a.neighbours = visitors()
	}
	undo := (&terminal{file: file}).stopWriters()
	if undo == nil {
		file.Close()
		return
	}
	a.unguard = func() {
		undo()
		file.Close()
	}
}
