package status

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// scripted is a host that does one thing after the other when it is asked.
type scripted struct {
	answers *atomic.Int64
	does    func(n int64) (text string, err error)
	closed  *atomic.Int64
}

func (h scripted) Run(_ context.Context, command string, stdin io.Reader, stdout, _ io.Writer) error {
	text, err := h.does(h.answers.Add(1))
	if err != nil {
		return err
	}
	rest := command[strings.Index(command, "echo ")+len("echo "):]
	io.WriteString(stdout, strings.Replace(rest[:strings.Index(rest, ";")], `""`, "", 1)+"\n")
	word := make([]byte, len("echo 0123456789abcdef\n"))
	io.ReadFull(stdin, word)
	io.WriteString(stdout, strings.TrimPrefix(string(word), "echo "))
	go io.Copy(io.Discard, stdin)
	io.WriteString(stdout, text)
	return nil
}

func (h scripted) Close() error { h.closed.Add(1); return nil }

func TestAHostIsAskedAgainOverOneConnectionUntilThatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []string
		var answers, opened, closed atomic.Int64
		lost := errors.New("lost")
		w := &Watcher{Every: 5 * time.Second,
			Tell: func(a Answer) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, fmt.Sprint(time.Now().Second(), " ", a.State != nil, " ", a.Err != nil, " ", a.Connected))
			},
			Open: func(context.Context, hive.Node) (Host, error) {
				if n := opened.Add(1); n == 2 || n == 3 {
					return nil, errors.New("rebooting")
				}
				return scripted{&answers, func(n int64) (string, error) {
					switch n {
					case 3:
						return "", lost
					case 5:
						return "nonsense\n", nil
					}
					return "now 5\n.\n", nil
				}, &closed}, nil
			}}
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { w.Watch(ctx, hive.Node{Name: "a"}) })
		time.Sleep(36 * time.Second)
		cancel()
		all.Wait()
		want := []string{"0 true false true", "5 true false true", "10 false true true", "15 false true false", "20 false true false", "25 true false true", "30 false true true", "35 true false true"}
		if fmt.Sprint(told) != fmt.Sprint(want) {
			t.Errorf("%q, want %q", told, want)
		}
		if opened.Load() != 4 || closed.Load() != 2 {
			t.Errorf("%d connections, %d closed", opened.Load(), closed.Load())
		}
	})
}

func TestWhatIsInVainIsNotTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		var told []Answer
		w := &Watcher{Every: time.Second, Tell: func(a Answer) { told = append(told, a) },
			Vain: func(err error) bool { return errors.Is(err, refused) },
			Open: func(context.Context, hive.Node) (Host, error) { return nil, refused }}
		w.Watch(t.Context(), hive.Node{})
		if len(told) != 1 || !told[0].Last || told[0].Err != refused {
			t.Errorf("%+v", told)
		}
	})
}

func TestNoMoreAreAskedAtOnceThanThereAreSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most, answers, closed atomic.Int64
		w := &Watcher{Every: time.Second, Tell: func(Answer) {}, Slots: make(chan struct{}, 3),
			Open: func(context.Context, hive.Node) (Host, error) {
				return scripted{&answers, func(int64) (string, error) {
					most.Store(max(most.Load(), now.Add(1)))
					defer now.Add(-1)
					time.Sleep(time.Second)
					return "now 5\n.\n", nil
				}, &closed}, nil
			}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { w.Watch(ctx, hive.Node{}) })
		}
		all.Wait()
		if most.Load() != 3 || answers.Load() < 100 || closed.Load() != 20 {
			t.Errorf("%d at once, %d answers, %d closed", most.Load(), answers.Load(), closed.Load())
		}
	})
}
