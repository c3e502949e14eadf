package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

var errLost = errors.New("the connection was lost")

// losing is a host whose first questions end with its connection.
type losing struct {
	*double
	left *int // how often
}

func (l losing) Run(_ context.Context, command string, _ io.Reader, stdout, _ io.Writer) error {
	mark, program, _ := strings.Cut(strings.TrimPrefix(command, "sh -c 'echo "), "; ")
	fmt.Fprintln(stdout, strings.Replace(mark, `""`, "", 1))
	if *l.left > 0 {
		*l.left--
		return errLost
	}
	if !strings.Contains(program, "current-system") {
		return errors.New("it is asked nothing else")
	}
	fmt.Fprint(stdout, "-\n-\n.\n")
	return nil
}

func TestALostConnectionIsMadeAgainForWhatMayBeRepeated(t *testing.T) {
	defer func(a, b, c time.Duration) { firstPause, lastPause, reconnectLimit = a, b, c }(firstPause, lastPause, reconnectLimit)
	firstPause, lastPause, reconnectLimit = time.Millisecond, 5*time.Millisecond, 200*time.Millisecond
	refused := errors.New("connection refused")
	for _, c := range []struct {
		name   string
		losses int
		open   []error // of each attempt but the first; the last of them for ever
		goal   hive.Goal
		status event.Status
		says   []string
		opened int // 0: any number
	}{
		{"never lost", 0, nil, hive.Push, event.Succeeded, nil, 1},
		{"lost twice", 2, []error{nil}, hive.Push, event.Succeeded, nil, 3},
		{"and not there at once", 1, []error{refused, refused, nil}, hive.Push, event.Succeeded, nil, 4},
		{"lost each time", 100, []error{nil}, hive.Push, event.Failed, []string{"the connection was lost"}, 1 + retries},
		{"and not there again", 1, []error{refused}, hive.Push, event.Failed, []string{"the connection was lost", "could not be reached again within 200ms: connection refused"}, 0},
		{"a stranger in its place", 1, []error{refused, errStranger, nil}, hive.Push, event.Failed, []string{"another host key"}, 3},
		{"a password refused", 1, []error{refused, errPassword, nil}, hive.Push, event.Failed, []string{"the password was refused"}, 3},
		{"a user's command", 1, []error{nil}, hive.Exec, event.Failed, []string{"the connection was lost"}, 1},
	} {
		opened, left := 0, c.losses
		j := &journal{}
		tools := tools(j, map[string]*double{"a": {}})
		tools.Open = func(context.Context, hive.Node, func(string)) (Host, error) {
			if opened++; opened > 1 {
				if err := c.open[min(opened-2, len(c.open)-1)]; err != nil {
					return nil, err
				}
			}
			return losing{&double{}, &left}, nil
		}
		tools.Refused = func(err error) bool { return errors.Is(err, errStranger) }
		tools.Vain = func(err error) bool { return errors.Is(err, errPassword) }
		tools.Lost = func(err error) bool { return errors.Is(err, errLost) }
		tools.Exec = func(ctx context.Context, h Host, _ hive.Node) (int, error) {
			return 0, h.Run(ctx, "sh -c 'echo a\"\"b; true'", nil, io.Discard, nil)
		}
		results := Run(t.Context(), Evaluated([]hive.Node{node("a")}), Options{Want: plan.Want{Goal: c.goal}}, tools, j)
		r := results[0]
		if r.Status != c.status || c.opened > 0 && opened != c.opened {
			t.Errorf("%s: %s, %v, connected %d times", c.name, r.Status, r.Err, opened)
		}
		for _, says := range c.says {
			if r.Err == nil || !strings.Contains(r.Err.Error(), says) {
				t.Errorf("%s: %v, want one that says %q", c.name, r.Err, says)
			}
		}
	}
}

// Whoever types a password has a limit of their own (ask.AnswerLimit).
func TestTheTimeOfPeopleIsNotTheHosts(t *testing.T) {
	defer func(a, b, c, d time.Duration) { firstPause, reconnectLimit, attemptLimit, firstWait = a, b, c, d }(firstPause, reconnectLimit, attemptLimit, firstWait)
	firstPause, reconnectLimit, attemptLimit, firstWait = time.Millisecond, 100*time.Millisecond, 50*time.Millisecond, 10*time.Millisecond
	for _, asked := range []bool{true, false} {
		said := notes{make(chan string, 1000)}
		opened, left := 0, 1
		var waits atomic.Value
		waits.Store("")
		ts := tools(&journal{}, map[string]*double{"a": {}})
		ts.Open = func(ctx context.Context, _ hive.Node, _ func(string)) (Host, error) {
			if opened++; opened == 1 {
				return losing{&double{}, &left}, nil
			}
			if asked {
				waits.Store("an answer: password of ops@a")
				defer waits.Store("")
			}
			select {
			case <-time.After(500 * time.Millisecond):
				return losing{&double{}, &left}, nil
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		ts.Lost = func(err error) bool { return errors.Is(err, errLost) }
		ts.WaitsFor = func(hive.Node) string { return waits.Load().(string) }
		r := Run(t.Context(), Evaluated([]hive.Node{node("a")}), Options{Want: plan.Want{Goal: hive.Push}}, ts, said)[0]
		if asked != (r.Status == event.Succeeded) {
			t.Errorf("asked %v: %s, %v", asked, r.Status, r.Err)
		}
		told := false
		for len(said.texts) > 0 {
			told = strings.HasPrefix(<-said.texts, "still waiting for an answer: password of ops@a (") || told
		}
		if told != asked {
			t.Errorf("asked %v: told %v", asked, told)
		}
	}
}
