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
	all     []secret.Secret // to be wiped
}

// Rules for passwords that are wrong.
const (
	tries = 3 // how often a host is told one
	// How many hosts may refuse a password that was given beforehand and can be
	// asked for from nobody, before it is taken for wrong.
	refusals = 2
)

// NewPasswords returns those of a deployment; asker may be nil.
func NewPasswords(asker Asker) *Passwords {
	return &Passwords{asker: asker, turn: make(chan struct{}, 1), own: map[string]secret.Secret{}}
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
	Alone   bool   // there are no others
}

// Find returns a password that the host takes: try, which fails with [ErrRefused]
// for a wrong one, has taken it. It fails with [ErrRefused], with [ask.ErrNobody],
// with [ask.ErrNoAnswer], with the cause of ctx, or else as try does.
func (p *Passwords) Find(ctx context.Context, h Host, try func(ctx context.Context, password secret.Secret) error) (secret.Secret, error) {
	if own, ok := p.ownOf(h); ok {
		return own, try(ctx, own)
	}
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return secret.Secret{}, context.Cause(ctx)
	}
	release := sync.OnceFunc(func() { <-p.turn })
	defer release()
	shared, proven := p.first()
	if !proven {
		return p.prove(ctx, h, try)
	}
	release() // nobody waits for a host that is told what others take
	err := try(ctx, shared)
	if !errors.Is(err, ErrRefused) {
		return shared, err
	}
	return p.another(ctx, h, try)
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
func (p *Passwords) prove(ctx context.Context, h Host, try func(context.Context, secret.Secret) error) (secret.Secret, error) {
	for range tries {
		password, err := p.candidate(ctx, h)
		if err != nil {
			return secret.Secret{}, err
		}
		if err = try(ctx, password); err == nil {
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
	return secret.Secret{}, fmt.Errorf("%w %d times", ErrRefused, tries)
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
		return *shared, nil
	}
	text := fmt.Sprintf("%s password for %s", h.Program, h.Login)
	if !h.Alone {
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

// another has the host take one that is asked for in its name.
func (p *Passwords) another(ctx context.Context, h Host, try func(context.Context, secret.Secret) error) (secret.Secret, error) {
	if err := p.can(); err != nil {
		return secret.Secret{}, fmt.Errorf("%w, which other hosts take, and %w", ErrRefused, err)
	}
	text := fmt.Sprintf("this host refused the shared password; %s password for %s only", h.Program, h.Login)
	for range tries - 1 {
		password, err := p.ask(ctx, h, text)
		if err != nil {
			return secret.Secret{}, err
		}
		p.mu.Lock()
		p.all = append(p.all, password)
		p.mu.Unlock()
		err = try(ctx, password)
		if err == nil {
			p.mu.Lock()
			p.own[h.Node] = password
			p.mu.Unlock()
			return password, nil
		}
		if !errors.Is(err, ErrRefused) {
			return secret.Secret{}, err
		}
		text = fmt.Sprintf("it was refused; %s password for %s only", h.Program, h.Login)
	}
	return secret.Secret{}, fmt.Errorf("%w %d times", ErrRefused, tries)
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
	return p.asker.Ask(ctx, ask.Question{Kind: ask.Root, Who: h.Node, Text: text})
}
