// Package keywatch brings keys to hosts again whenever they have booted by themselves. Of
// each host it keeps one connection, over which nothing runs. When that is lost it is made
// again, and the ID of the boot tells whether the host has lost what was in memory.
package keywatch

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/colmena-go/colmena-go/pkg/activation"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

// Host is a connection to one; pkg/remote's Host is one.
type Host interface {
	hostscript.Runner
	Close() error
	// Ended is closed when the connection is gone.
	Ended() <-chan struct{}
}

// Watcher watches hosts, each for itself: none waits for another. Its fields are not
// changed while it is used.
type Watcher struct {
	// Open connects to a node's host, and sees again that it is the one we may trust.
	Open func(ctx context.Context, node hive.Node) (Host, error)
	// Vain reports whether an error of Open is one that further attempts do not mend, and
	// that may lock an account with them: the host is given up. It may be nil.
	Vain func(err error) bool
	// Refused reports whether an error of Open says that what answers is not the host. It
	// is looked for all the same: many have another key while an initrd waits for a
	// passphrase. It may be nil.
	Refused func(err error) bool
	// Bring has the host's keys resolved and brought up to date over the line. When ctx is
	// done it ends, but for what must not be left half-way.
	Bring func(ctx context.Context, node hive.Node, line *Line) error
	// Tell is told what happens, from many goroutines.
	Tell func(node string, news News)
}

// A host that is away is looked for after a tenth of the time that it has been so, within
// these bounds: most are back after a minute or two, and some stay away for weeks.
const (
	shortest = time.Second
	longest  = time.Minute
)

// Keys that cannot be brought are tried again after these, of which each is twice the one before.
const (
	firstAgain = 5 * time.Second
	mostAgain  = 5 * time.Minute
)

// steady is how long a connection has to last to be a good one. After others the pause
// before the next is longer and longer.
const steady = 30 * time.Second

// When it is told again that a host is away: then, and each time that twice as long has
// gone by.
const firstReminder = 10 * time.Minute

// watched is one host on watch.
type watched struct {
	*Watcher
	node hive.Node
	line *Line // nil while there is no connection

	seen     activation.Boot // the last one that was seen; zero: none yet
	kept     activation.Boot // the last one that has its keys
	gone     time.Time       // since when the host is away; zero: it is not
	refused  bool            // what answers is not the host
	reminder time.Duration   // when that is told again
	tried    bool            // to connect
	flaps    time.Duration   // the pause after connections that did not last
	again    time.Duration   // the pause after keys that could not be brought
}

// Watch watches one node's host until ctx is done, or the host is given up. The keys are
// brought at once, and after each boot. A host that is not there yet is waited for.
func (w *Watcher) Watch(ctx context.Context, node hive.Node) {
	n := &watched{Watcher: w, node: node}
	defer n.hangUp()
	for ctx.Err() == nil {
		if n.line == nil && !n.connect(ctx) {
			return
		}
		if n.attend(ctx) && ctx.Err() == nil {
			n.hold(ctx)
		}
		if n.line != nil && !n.line.ended() {
			continue // the keys are not there yet
		}
		n.hangUp()
	}
}

// connect tries until there is a connection. It reports false where there will be none.
func (n *watched) connect(ctx context.Context) bool {
	for {
		if n.tried && !sleep(ctx, n.pause(), nil) {
			return false
		}
		n.tried = true
		host, err := n.Open(ctx, n.node)
		switch {
		case err == nil:
			n.line = &Line{host: host, open: func(ctx context.Context) (Host, error) { return n.Open(ctx, n.node) }}
			return true
		case ctx.Err() != nil:
			return false
		case n.Vain != nil && n.Vain(err):
			n.Tell(n.node.Name, News{Kind: GivenUp, Err: err})
			return false
		}
		n.away(err)
	}
}

// pause is how long to wait before the host is looked for again.
func (n *watched) pause() time.Duration {
	pause := shortest
	if !n.gone.IsZero() {
		pause = min(max(time.Since(n.gone)/10, shortest), longest)
	}
	return about(max(pause, n.flaps))
}

// away tells that the host is not there: once, again when that has gone on for long, and
// when something else answers in its place.
func (n *watched) away(err error) {
	refused := n.Refused != nil && n.Refused(err)
	news := News{Kind: Away, Err: err}
	switch {
	case n.gone.IsZero():
		n.gone, n.reminder = time.Now(), firstReminder
	case refused && !n.refused:
		news.For = time.Since(n.gone)
	case time.Since(n.gone) >= n.reminder:
		n.reminder *= 2
		news.For = time.Since(n.gone)
	default:
		n.refused = refused
		return
	}
	n.refused = refused
	if refused {
		news.Kind = Stranger
	}
	n.Tell(n.node.Name, news)
}

// errBooting: the host answers, and runs no system of its own yet.
var errBooting = errors.New("it answers, and does not say yet what it has booted")

// attend asks the host which boot it is in, and brings its keys where they are not there
// yet. It reports whether all is well then.
func (n *watched) attend(ctx context.Context) bool {
	boot, err := activation.Booted(ctx, n.line)
	if err == nil && boot.System == "" && n.seen.System != "" {
		err = errBooting
	}
	if err != nil {
		n.hangUp()
		if ctx.Err() == nil {
			n.away(err)
		}
		return false
	}
	switch n.seen.ID {
	case boot.ID:
		n.back(Back)
	case "":
		n.back(Found)
	default:
		n.back(Rebooted)
	}
	n.seen = boot
	// An initrd and the system after it are one boot to the kernel.
	return boot == n.kept || n.bring(ctx, boot)
}

// back tells that the host is there.
func (n *watched) back(kind Kind) {
	news := News{Kind: kind}
	if !n.gone.IsZero() {
		news.For = time.Since(n.gone)
	} else if kind != Rebooted {
		return // it was not away
	}
	n.gone, n.refused = time.Time{}, false
	n.Tell(n.node.Name, news)
}

// bring brings the keys, and waits before that is to be tried again. It reports whether they
// are there.
func (n *watched) bring(ctx context.Context, boot activation.Boot) bool {
	line := n.line
	line.lent = false
	err := n.Bring(ctx, n.node, line)
	switch {
	case err == nil && line.remade: // perhaps in another boot, which is looked for
		line.remade = false
		return false
	case err == nil:
		n.kept = boot
		n.again = 0
		return true
	case ctx.Err() != nil:
		return false
	}
	n.again = min(max(2*n.again, firstAgain), mostAgain)
	pause := about(n.again)
	n.Tell(n.node.Name, News{Kind: Failed, Err: err, Next: pause})
	sleep(ctx, pause, line.Ended())
	return false
}

// hold waits until the connection is lost.
func (n *watched) hold(ctx context.Context) {
	begin := time.Now()
	select {
	case <-ctx.Done():
	case <-n.line.Ended():
		n.gone, n.reminder = time.Now(), firstReminder
		n.flaps = min(max(2*n.flaps, shortest), longest)
		if time.Since(begin) >= steady {
			n.flaps = 0
		}
		n.Tell(n.node.Name, News{Kind: Lost})
	}
}

// hangUp ends the connection, if there is one.
func (n *watched) hangUp() {
	if n.line != nil {
		n.line.host.Close()
		n.line = nil
	}
}

// about is a time that is a bit longer or shorter by chance: hosts that went away together
// do not come all at once.
func about(long time.Duration) time.Duration { return long*3/4 + rand.N(long/2) }

// sleep waits so long, or until something has ended, and reports whether ctx is not done.
func sleep(ctx context.Context, long time.Duration, ended <-chan struct{}) bool {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ended:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
