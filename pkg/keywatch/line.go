package keywatch

import (
	"context"
	"io"
)

// Line is the connection to a host that is watched, as it is lent to who brings its keys.
// To close what was lent leaves it open. It is for one goroutine at a time.
type Line struct {
	host   Host
	open   func(ctx context.Context) (Host, error)
	lent   bool
	remade bool // who brings keys had to connect anew
}

// Lend gives the connection away; asked once more, since it was lost meanwhile, it makes it
// again.
func (l *Line) Lend(ctx context.Context) (*Line, error) {
	if l.lent {
		l.host.Close()
		host, err := l.open(ctx)
		if err != nil {
			return nil, err
		}
		l.host, l.remade = host, true
	}
	l.lent = true
	return l, nil
}

// Run runs a command over the connection at hand, as [hostscript.Runner] says.
func (l *Line) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	return l.host.Run(ctx, command, stdin, stdout, stderr)
}

// Close does nothing: the watch needs the connection.
func (l *Line) Close() error { return nil }

// Ended is closed when the connection at hand is gone.
func (l *Line) Ended() <-chan struct{} { return l.host.Ended() }

func (l *Line) ended() bool {
	select {
	case <-l.Ended():
		return true
	default:
		return false
	}
}
