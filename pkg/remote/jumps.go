package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/sshconfig"
)

// jumps are what the connections of a run share: those to jump hosts, and what was noted. All hosts behind one share its
// connection, so that a thousand do not storm it. The zero value is ready for use.
type jumps struct {
	mu     sync.Mutex
	closed bool
	gates  map[string]*gate
	noted  map[string]bool // what is noted once in a run
}

// first reports whether a text has not been noted in the run; it has been from then on.
// Without jumps each connection is alone.
func (all *jumps) first(text string) bool {
	if all == nil {
		return true
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.noted == nil {
		all.noted = map[string]bool{}
	}
	before := all.noted[text]
	all.noted[text] = true
	return !before
}

// maxJumps bounds a chain of jump hosts.
const maxJumps = 8

// maxLinks is how many connections there may be to one jump host, where it does not
// carry more over one.
const maxLinks = 4

// dial has a jump host connect to the host with these settings.
func (all *jumps) dial(ctx context.Context, cfg Config, to sshconfig.Query, s settings) (net.Conn, error) {
	hop := Config{
		Host: to.Host, Port: to.Port, User: to.User, SSHOptions: to.Options, SSHConfigFile: to.File,
		Note: func(text string) { cfg.Note("jump host " + to.Host + ": " + text) }, Waits: cfg.Waits, Log: cfg.Log, jumps: all, met: cfg.met,
		Node: "jump host " + to.Host, Credentials: cfg.Credentials,
	}
	// Who asks again for what is on its way to it would wait for itself.
	if len(cfg.way) >= maxJumps || slices.Contains(cfg.way, hop.target()) {
		return nil, fmt.Errorf("there are more than %d jump hosts on the way, or they lead in a circle: correct ProxyJump for %s (see ssh -G %[2]s)", maxJumps, to.Host)
	}
	hop.way = append(slices.Clone(cfg.way), hop.target())
	g, err := all.gate(hop)
	if err != nil {
		return nil, err
	}
	conn, err := g.dial(ctx, s)
	var why *noPassage
	switch {
	case err == nil:
		return &untilLate{Conn: conn}, nil
	case ctx.Err() != nil:
		return nil, &unreached{placeOf(cfg, s, ""), context.Cause(ctx).Error(), context.Cause(ctx)}
	case errors.As(err, &why):
		return nil, &unreached{placeOf(cfg, s, ""), "the jump host " + to.Host + " " + why.Error(), err}
	}
	return nil, fmt.Errorf("jump host %s: %w", to.Host, err)
}

func (all *jumps) gate(hop Config) (*gate, error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.closed {
		return nil, errNotWanted
	}
	key := hop.target()
	if all.gates == nil {
		all.gates = map[string]*gate{}
	}
	if all.gates[key] == nil {
		all.gates[key] = &gate{cfg: hop}
	}
	return all.gates[key], nil
}

// close ends all connections. What runs over them should have ended.
func (all *jumps) close() {
	all.mu.Lock()
	gates := all.gates
	all.gates, all.closed = nil, true
	all.mu.Unlock()
	for _, g := range gates {
		g.close()
	}
}

// gate is one jump host.
type gate struct {
	cfg Config

	mu     sync.Mutex
	closed bool
	links  []*Host  // the last takes what is new
	coming *arrival // another on its way, or nil
	failed *arrival // the last that did not come
}

// arrival is a connection on its way to a gate, for all who wait for it.
type arrival struct {
	done   chan struct{}
	cancel context.CancelFunc
	awaits int
	link   *Host
	err    error
	at     time.Time // of the end
}

// failureHolds is for how long nobody tries a jump host again that cannot be
// reached: hosts behind it, which are many, fail with it.
var failureHolds = 5 * time.Second

// noPassage is a jump host that leads no further.
type noPassage struct{ why string }

func (e *noPassage) Error() string { return e.why }

// dial opens a channel to the host with these settings.
func (g *gate) dial(ctx context.Context, s settings) (net.Conn, error) {
	var full *Host
	for again := true; ; {
		link, err := g.link(ctx, full)
		if err != nil {
			return nil, err
		}
		conn, err := link.through(ctx, s)
		var refused *ssh.OpenChannelError
		switch {
		case err == nil:
			return conn, nil
		case errors.As(err, &refused) && refused.Reason == ssh.ResourceShortage && g.mayGrow():
			full = link // goes on with the next
		case link.lost() && again: // while nobody looked
			again = false
		case errors.As(err, &refused) && refused.Reason == ssh.Prohibited:
			return nil, &noPassage{"refuses to forward the connection (AllowTcpForwarding, PermitOpen in its sshd_config)"}
		case errors.As(err, &refused):
			return nil, &noPassage{"says: " + printable.Said(refused.Message, 160)}
		case errors.Is(err, context.DeadlineExceeded):
			return nil, &noPassage{fmt.Sprintf("does not get there within %s", s.ConnectTimeout)}
		default:
			return nil, &noPassage{"was lost on the way"}
		}
	}
}

// through has the host connect to another.
func (h *Host) through(ctx context.Context, s settings) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.ConnectTimeout)
	defer cancel()
	carrier, ok := h.conn.(native)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return carrier.client.DialContext(ctx, "tcp", address(s))
}

func (g *gate) mayGrow() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.links) < maxLinks
}

// link is a connection to the jump host, a newer one than full.
func (g *gate) link(ctx context.Context, full *Host) (*Host, error) {
	g.mu.Lock()
	g.links = slices.DeleteFunc(g.links, func(h *Host) bool {
		lost := h.lost()
		if lost {
			h.Close() // which waits for nothing then
		}
		return lost
	})
	if n := len(g.links); n > 0 && g.links[n-1] != full {
		defer g.mu.Unlock()
		return g.links[n-1], nil
	}
	if g.failed != nil && time.Since(g.failed.at) < failureHolds {
		defer g.mu.Unlock()
		return nil, g.failed.err
	}
	a := g.coming
	if a == nil {
		a = g.begin(ctx)
	}
	a.awaits++
	g.mu.Unlock()
	select {
	case <-a.done:
		return a.link, a.err
	case <-ctx.Done():
		g.mu.Lock()
		defer g.mu.Unlock()
		if a.awaits--; a.awaits == 0 {
			a.cancel()
		}
		return nil, context.Cause(ctx)
	}
}

// begin connects to the jump host, not for the one alone who is the first to ask.
func (g *gate) begin(ctx context.Context) *arrival {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a := &arrival{done: make(chan struct{}), cancel: cancel}
	g.coming = a
	go func() {
		defer crash.Guard()
		defer close(a.done)
		defer cancel()
		link, err := connect(ctx, g.cfg)
		g.mu.Lock()
		defer g.mu.Unlock()
		if err == nil && g.closed {
			link.Close()
			link, err = nil, errNotWanted
		}
		a.link, a.err, a.at = link, err, time.Now()
		g.coming, g.failed = nil, nil
		switch {
		case err == nil:
			g.links = append(g.links, link)
		case ctx.Err() == nil:
			g.failed = a
		}
	}()
	return a
}

func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	links, coming := g.links, g.coming
	g.links = nil
	g.mu.Unlock()
	if coming != nil {
		coming.cancel()
		<-coming.done
	}
	for _, link := range links {
		link.Close()
	}
}
