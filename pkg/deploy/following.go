package deploy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/activation"
	"github.com/colmena-go/colmena-go/pkg/crash"
)

// following is an activation that is followed, over one connection after the other
// where they are lost. Late keys are sent while it waits for one of them.
type following struct {
	*nodeRun
	request activation.Request
	ctx     context.Context         // of the step
	giveUp  context.CancelCauseFunc // ends the following, not the activation
	wanted  sync.WaitGroup          // uploads of late keys

	followed context.Context // done when the connection at hand is followed no more
}

// switchTo runs the activation.
func (n *nodeRun) switchTo(ctx context.Context) (activation.Outcome, error) {
	n.begin("activating: " + string(n.opts.Goal))
	s := &following{nodeRun: n, ctx: ctx, request: activation.Request{
		Goal: n.opts.Goal, Toplevel: n.node.Toplevel.OutPath, WaitFor: n.keys.units(),
		Keyless: n.opts.NoKeys || !n.opts.Goal.UploadsKeys(),
	}}
	if n.opts.NoKeys {
		for _, key := range n.node.Keys {
			s.request.WaitFor = append(s.request.WaitFor, key.Unit())
		}
	}
	// An upload may outlive the switch, which ends as soon as the key is there.
	defer s.wanted.Wait()
	patient, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	s.giveUp = giveUp
	return s.follow(patient)
}

// follow begins the activation and goes on with it over other connections.
func (s *following) follow(ctx context.Context) (activation.Outcome, error) {
	outcome, err := s.over(ctx, nil)
	var left *activation.Detached
	for range retries {
		if !errors.As(err, &left) || !s.lost(left.Cause) {
			break
		}
		s.wanted.Wait()
		if late := s.reconnect(s.ctx); late != nil {
			return outcome, fmt.Errorf("%w; %w", err, late)
		}
		if outcome, err = s.over(ctx, left); errors.Is(err, activation.ErrNotBegun) {
			outcome, err = s.over(ctx, nil)
		}
	}
	return outcome, err
}

// over follows the activation over the connection at hand: one that was left, or, where
// that is nil, a new one.
func (s *following) over(ctx context.Context, left *activation.Detached) (activation.Outcome, error) {
	followed, end := context.WithCancel(ctx)
	defer end()
	s.followed = followed
	hooks := activation.Hooks{Output: s.output, Note: s.note, KeyWanted: s.keyWanted}
	if left == nil {
		return activation.Run(followed, s.host, s.request, hooks)
	}
	return activation.Follow(followed, s.host, left, hooks)
}

// keyWanted sends the late keys, for one of which the switch waits.
func (s *following) keyWanted(unit string) {
	if s.opts.NoKeys {
		s.giveUp(fmt.Errorf("the switch waits for %s, whose key --no-keys leaves out: run upload-keys, and the switch goes on by itself", unit))
		return
	}
	s.note("the switch waits for " + unit + ": uploading the post-activation keys now")
	followed := s.followed
	s.wanted.Go(func() {
		defer crash.Guard()
		err := s.sendEarly(s.ctx)
		// Either all is lost, and the key is wanted again; or a connection of the upload's own.
		for again := retries; s.lost(err); again-- {
			select {
			case <-followed.Done():
				return
			case <-time.After(lastPause):
			}
			if again == 0 {
				break
			}
			err = s.sendEarly(s.ctx)
		}
		if err != nil {
			s.giveUp(fmt.Errorf("the switch waits for %s, but: %w; mend that and run upload-keys: the switch then goes on by itself", unit, err))
		}
	})
}
