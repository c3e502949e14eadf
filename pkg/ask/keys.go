package ask

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pressLook is how often it is looked at whether a question wants the terminal.
const pressLook = 200 * time.Millisecond

// AwaitKey returns when one of the keys is pressed on the terminal, or ctx is done: then it
// fails with its cause. What else is typed is forgotten. Questions go before, and have the
// terminal as it was. It fails with [ErrNobody] where there is none.
func (a *Asker) AwaitKey(ctx context.Context, keys string) error {
	if a == nil {
		return ErrNobody
	}
	for {
		pressed, err := a.listen(ctx, keys)
		if pressed || err != nil {
			return err
		}
		select {
		case <-time.After(pressLook): // whoever waits has its turn
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// listen hears keys until one is pressed, somebody else wants the terminal, or we have it
// no more.
func (a *Asker) listen(ctx context.Context, keys string) (pressed bool, err error) {
	ctx, giveBack, err := a.take(ctx)
	if err != nil {
		return false, err
	}
	defer giveBack()
	file, err := a.open()
	if err != nil {
		return false, fmt.Errorf("%w: there is no terminal", ErrNobody)
	}
	defer file.Close()
	t := &terminal{file: file}
	if !t.ours() {
		return false, nil
	}
	if err := t.save(); err != nil {
		return false, err
	}
	defer t.restore()
	if err := t.singly(); err != nil {
		return false, err
	}
	defer context.AfterFunc(ctx, func() { file.SetReadDeadline(time.Unix(1, 0)) })()
	for ctx.Err() == nil && a.waiting.Load() == 0 && t.ours() {
		if pressed, err := t.pressed(keys); pressed || err != nil {
			return pressed, err
		}
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	return false, nil
}

// singly has each key be read as it is typed, unseen. Signals stay what they are.
func (t *terminal) singly() error {
	settings := *t.before
	settings.Lflag &^= unix.ICANON | unix.ECHO | unix.ECHONL
	settings.Cc[unix.VMIN], settings.Cc[unix.VTIME] = 1, 0
	return t.control(func(fd int) error { return unix.IoctlSetTermios(fd, setTermios, &settings) })
}

// pressed waits a moment for one of the keys.
func (t *terminal) pressed(keys string) (bool, error) {
	var typed [64]byte
	defer clear(typed[:]) // it may be meant for somebody else
	t.file.SetReadDeadline(time.Now().Add(pressLook))
	n, err := t.file.Read(typed[:])
	if err != nil && !os.IsTimeout(err) {
		return false, fmt.Errorf("%w: the terminal cannot be read: %w", ErrNobody, err)
	}
	return bytes.ContainsAny(typed[:n], keys), nil
}
