package remote

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/askpass"
	"github.com/colmena-go/colmena-go/pkg/secret"
	"github.com/colmena-go/colmena-go/pkg/sshauth"
)

// What the ssh program asks, it asks through us: one question at a time, in the name of
// the node.

// answerTo begins to answer, where somebody can be asked, until stop; env is for ssh.
func (m *master) answerTo(cfg Config, s settings) (stop func(), env []string, err error) {
	who := sshauth.Who{Node: cfg.known(), Account: login(s), Credentials: cfg.Credentials, Say: cfg.Note, Waits: cfg.Waits}
	if who.Can(s) != nil {
		return func() {}, nil, nil
	}
	m.asks = sshauth.Asks(who)
	server, err := askpass.Listen(filepath.Dir(m.socket), func(ctx context.Context, kind askpass.Kind, text string) (secret.Secret, error) {
		m.asking.Add(1)
		defer m.asking.Add(-1)
		if kind == askpass.Tell {
			m.asks.Tell(ctx, text)
			return secret.Secret{}, nil
		}
		answer, err := m.asks.Answer(ctx, text)
		if err != nil && ctx.Err() == nil { // ssh would send the host an empty one
			m.end()
		}
		return answer, err
	})
	if err != nil {
		return nil, nil, err
	}
	if env, err = server.Env(); err != nil {
		server.Close()
		return nil, nil, err
	}
	return server.Close, env, nil
}

// failed is why ssh did not connect, and what became of what it was told.
func (m *master) failed(err error) error {
	if m.asks == nil {
		return err
	}
	over := m.asks.Over()
	if Vain(over) || errors.Is(over, ask.ErrNobody) {
		err = fmt.Errorf("%w: ssh asks, and %w", ErrAuth, over)
	}
	return m.asks.Failed(err)
}
