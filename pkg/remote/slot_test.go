package remote

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// daemon is a host with another nix-daemon.
type daemon struct {
	*Host
	command string
}

func (d daemon) Store(ctx context.Context) (string, func() error, error) {
	return d.store(ctx, d.command)
}

type nowhere struct{}

func (nowhere) Emit(event.Event) {}

func TestAHostWhoseNixSaysNothingGivesItsSlotToTheNext(t *testing.T) {
	s := serve(t)
	set(t, &answerWithin, 300*time.Millisecond)
	cfg := s.config(t)
	copying := make(chan struct{})
	tools := deploy.Tools{
		Open: func(ctx context.Context, n hive.Node, _ func(string)) (deploy.Host, error) {
			command := "wc -c" // takes all, says nothing, and ends with its input
			if n.Name == "honest" {
				command = "cat"
				<-copying // the other one has the slot
			}
			h, err := Dial(ctx, cfg)
			return daemon{h, command}, err
		},
		Build: func(context.Context, hive.Node, func(string)) error { return nil },
		// As nix does, it greets and waits for an answer.
		Closure: func(_ context.Context, path string) (map[string]int64, error) { return map[string]int64{path: 1}, nil },
		Lacks:   func(_ context.Context, _ deploy.Host, _, paths []string) ([]string, error) { return paths, nil },
		Release: func(context.Context, deploy.Host, []string) error { return nil },
		Copy: func(_ context.Context, what deploy.Copy) error {
			if what.Path == "/nix/store/silent" {
				close(copying)
			}
			conn, err := net.Dial("unix", strings.TrimPrefix(what.Store, "unix://"))
			if err != nil {
				return err
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			conn.Write([]byte("x"))
			_, err = io.ReadFull(conn, make([]byte, 1))
			return err
		},
	}
	var nodes []hive.Node
	for _, name := range []string{"silent", "honest"} {
		nodes = append(nodes, hive.Node{Name: name, Target: &hive.Target{Host: name}, Toplevel: &hive.Toplevel{OutPath: "/nix/store/" + name}})
	}
	begin := time.Now()
	results := deploy.Run(t.Context(), deploy.Evaluated(nodes), deploy.Options{Want: plan.Want{Goal: hive.Push}, Schedule: deploy.Schedule{Push: deploy.NewLimit(1, "--parallel")}}, tools, nowhere{})
	if r := results[0]; r.Status != event.Failed || r.Step != plan.Push || !errors.Is(r.Err, ErrStalled) {
		t.Errorf("the silent node: %s in step %q: %v", r.Status, r.Step, r.Err)
	}
	if r := results[1]; r.Status != event.Succeeded || time.Since(begin) > 20*time.Second {
		t.Errorf("the honest node after %v: %s in step %q: %v", time.Since(begin), r.Status, r.Step, r.Err)
	}
}
