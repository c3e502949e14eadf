package escalation

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// Asker is who asks people; [ask.Asker] is one.
type Asker interface {
	Can(kind ask.Kind) error
	Ask(ctx context.Context, q ask.Question) (secret.Secret, error)
}

// Passwords are those with which the users of a deployment become root. What is
// typed first is for every host that takes it, and is shown to one alone until one
// has taken it, so that a wrong one locks no accounts. What is typed for a host that
// refused it is for that host only.
type Passwords struct {
	asker Asker
	turn  chan struct{} // of who has the first password taken

	mu      sync.Mutex
	shared  *secret.Secret
	proven  bool     // a host took it
	refused []string // the hosts that did not take it while it was not proven
	over    error    // why nobody is asked any more
	own     map[string]secret.Secret
	hosts   int              // how many there are; 0 is not known
	noted   map[string]bool  // by node: it was told that it gets the first one
	told    map[string]int   // by node: passwords since it last took one
	ended   map[string]error // by node: why it is told none any more
	all     []secret.Secret  // to be wiped
}

// Rules for passwords that are wrong.
const (
	tries = 3 // how many a host is told in a run without taking one, however often it is connected to
	// How many hosts may refuse a password that was given beforehand and can be
	// asked for from nobody, before it is taken for wrong.
	refusals = 2
)

// NewPasswords returns those of a deployment; asker may be nil.
func NewPasswords(asker Asker) *Passwords {
	return &Passwords{
		asker: asker, turn: make(chan struct{}, 1),
		own: map[string]secret.Secret{}, noted: map[string]bool{}, told: map[string]int{}, ended: map[string]error{},
	}
}

// For says how many hosts there are.
func (p *Passwords) For(hosts int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hosts = hosts
}

// alone reports whether there is one host only.
func (p *Passwords) alone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hosts == 1
}

// note says once that the host gets a password which was not typed for it: it may be in
// other hands than the others.
func (p *Passwords) note(h Host) {
	p.mu.Lock()
	before := p.noted[h.Node]
	p.noted[h.Node] = true
	p.mu.Unlock()
	if !before && h.Note != nil && !p.alone() {
		h.Note(h.Program + " asks for a password: giving it the shared one")
	}
}

// Give says which password to begin with. The Passwords own it.
func (p *Passwords) Give(password secret.Secret) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shared = &password
	p.all = append(p.all, password)
}

// Wipe overwrites all passwords. None is used any more.
func (p *Passwords) Wipe() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, password := range p.all {
		password.Wipe()
	}
	p.shared, p.proven, p.own, p.all = nil, false, map[string]secret.Secret{}, nil
}

// Host is one that asks for a password.
type Host struct {
	Node    string // as people know it
	Login   string // user@address
	Program string // that asks, as "sudo"
	Note    func(text string)
	Waits   func(what string) (over func()) // is told what is waited for, beside the host; nil: nobody is
}

// waits tells what is waited for until over is called.
func (h Host) waits(what string) (over func()) {
	if h.Waits == nil {
		return func() {}
	}
	return h.Waits(what)
}

// Try sees whether the host takes a password: it fails with [ErrRefused] for a wrong one.
type Try func(ctx context.Context, password secret.Secret) error

// Find returns a password that the host takes, as try has seen. It fails with
// [ErrRefused], with [ask.ErrNobody], with [ask.ErrNoAnswer], with the cause of ctx, or
// else as try does. A host for which it failed with ErrRefused or ErrNoAnswer is told
// nothing more, and nobody is asked for it: it fails so again.
func (p *Passwords) Find(ctx context.Context, h Host, try Try) (secret.Secret, error) {
	p.mu.Lock()
	err := p.ended[h.Node]
	p.mu.Unlock()
	if err != nil {
		return secret.Secret{}, err
	}
	password, err := p.find(ctx, h, try)
	if errors.Is(err, ErrRefused) || errors.Is(err, ask.ErrNoAnswer) {
		p.mu.Lock()
		p.ended[h.Node] = err
		p.mu.Unlock()
	}
	return password, err
}

func (p *Passwords) find(ctx context.Context, h Host, try Try) (secret.Secret, error) {
	if own, ok := p.ownOf(h); ok {
		if err := p.tell(ctx, h, own, try); !errors.Is(err, ErrRefused) {
			return own, err
		}
		return p.another(ctx, h, "it is refused now", try)
	}
	over := h.waits("the " + h.Program + " password, which another host tries first")
	select {
	case p.turn <- struct{}{}:
		over()
	case <-ctx.Done():
		over()
		return secret.Secret{}, context.Cause(ctx)
	}
	release := sync.OnceFunc(func() { <-p.turn })
	defer release()
	shared, proven := p.first()
	if !proven {
		return p.prove(ctx, h, try)
	}
	release() // nobody waits for a host that is told what others take
	p.note(h)
	if err := p.tell(ctx, h, shared, try); !errors.Is(err, ErrRefused) {
		return shared, err
	}
	return p.another(ctx, h, "this host refused the shared password", try)
}

// tell has the host see a password, unless it has seen too many. Also one that ends in
// no clear answer may count as a failed login there.
func (p *Passwords) tell(ctx context.Context, h Host, password secret.Secret, try Try) error {
	if err := p.enough(h); err != nil {
		return err
	}
	p.mu.Lock()
	p.told[h.Node]++
	p.mu.Unlock()
	err := try(ctx, password)
	if err == nil {
		p.mu.Lock()
		delete(p.told, h.Node)
		p.mu.Unlock()
	}
	return err
}

// enough fails for a host that is told no further password.
func (p *Passwords) enough(h Host) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told[h.Node] < tries {
		return nil
	}
	return fmt.Errorf("%w: the host took none of %d", ErrRefused, tries)
}

func (p *Passwords) ownOf(h Host) (secret.Secret, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	own, ok := p.own[h.Node]
	return own, ok
}

func (p *Passwords) first() (shared secret.Secret, proven bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shared != nil {
		shared = *p.shared
	}
	return shared, p.proven
}

// prove has the host take the first password, which is asked for until it does. The
// others wait meanwhile.
func (p *Passwords) prove(ctx context.Context, h Host, try Try) (secret.Secret, error) {
	for {
		if err := p.enough(h); err != nil {
			return secret.Secret{}, err
		}
		password, err := p.candidate(ctx, h)
		if err != nil {
			return secret.Secret{}, err
		}
		if err = p.tell(ctx, h, password, try); err == nil {
			p.mu.Lock()
			p.proven = true
			p.mu.Unlock()
			return password, nil
		}
		if !errors.Is(err, ErrRefused) {
			return secret.Secret{}, err
		}
		if err := p.refuse(h); err != nil {
			return secret.Secret{}, err
		}
	}
}

// candidate is the first password, as long as no host has taken one.
func (p *Passwords) candidate(ctx context.Context, h Host) (secret.Secret, error) {
	p.mu.Lock()
	shared, over, again := p.shared, p.over, len(p.refused) > 0
	p.mu.Unlock()
	if over != nil {
		return secret.Secret{}, over
	}
	if shared != nil {
		p.note(h)
		return *shared, nil
	}
	text := fmt.Sprintf("%s password for %s", h.Program, h.Login)
	if !p.alone() {
		text += " (also tried on the other hosts)"
	}
	if again {
		text = "it was refused; " + text
	}
	typed, err := p.ask(ctx, h, text)
	if errors.Is(err, ask.ErrNoAnswer) {
		p.mu.Lock()
		p.over = err
		p.mu.Unlock()
	}
	if err == nil {
		p.Give(typed)
	}
	return typed, err
}

// refuse is told of a host that did not take the first password. It fails where no
// other can be had.
func (p *Passwords) refuse(h Host) error {
	nobody := p.can()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = append(p.refused, h.Node)
	if nobody == nil {
		p.shared = nil
		return nil
	}
	if len(p.refused) >= refusals {
		p.over = fmt.Errorf("%w by %s and %s, and so it is shown to no other host", ErrRefused, p.refused[0], h.Node)
	}
	return fmt.Errorf("%w, and %w", ErrRefused, nobody)
}

// another has the host take one that is asked for in its name; why is what came before.
func (p *Passwords) another(ctx context.Context, h Host, why string, try Try) (secret.Secret, error) {
	p.mu.Lock()
	delete(p.own, h.Node)
	p.mu.Unlock()
	for {
		if err := p.can(); err != nil {
			return secret.Secret{}, fmt.Errorf("%w (%s), and %w", ErrRefused, why, err)
		}
		if err := p.enough(h); err != nil {
			return secret.Secret{}, err
		}
		password, err := p.ask(ctx, h, fmt.Sprintf("%s; %s password for %s only", why, h.Program, h.Login))
		if err != nil {
			return secret.Secret{}, err
		}
		p.mu.Lock()
		p.all = append(p.all, password)
		p.mu.Unlock()
		err = p.tell(ctx, h, password, try)
		if err == nil {
			p.mu.Lock()
			p.own[h.Node] = password
			p.mu.Unlock()
			return password, nil
		}
		if !errors.Is(err, ErrRefused) {
			return secret.Secret{}, err
		}
		why = "it was refused"
	}
}

// can says whether a password can be asked for.
func (p *Passwords) can() error {
	if p.asker == nil {
		return ask.ErrNobody
	}
	return p.asker.Can(ask.Root)
}

func (p *Passwords) ask(ctx context.Context, h Host, text string) (secret.Secret, error) {
	if err := p.can(); err != nil {
		return secret.Secret{}, err
	}
	defer h.waits("an answer: " + text)()
	return p.asker.Ask(ctx, ask.Question{Kind: ask.Root, Who: h.Node, Text: text})
}
