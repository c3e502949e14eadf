package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// A host that has all its keys already is not being changed yet.
func TestAnInterruptAfterKeysThatAreUpToDateActivatesNothing(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("interrupted")
	host := &double{current: "/nix/store/before"}
	host.run = func(command string, _ io.Reader, _ io.Writer) error {
		return fmt.Errorf("it came to %s", command)
	}
	n, j := node("web"), &journal{}
	n.Keys = []hive.Key{{Attr: "late", Name: "late", UploadAt: hive.PostActivation}}
	with := tools(j, map[string]*double{"web": host})
	with.Resolve = func(context.Context, hive.Node, func(string)) (map[string]secret.Secret, error) {
		cancel(why)
		return map[string]secret.Secret{"late": secret.New([]byte("v"))}, nil
	}
	r := Run(ctx, Evaluated([]hive.Node{n}), Options{Want: plan.Want{Goal: hive.Switch}}, with, j)[0]
	if r.Status != event.Cancelled || !errors.Is(r.Err, why) || len(host.commands) != 1 { // the one that inspects
		t.Errorf("%s: %v; the host was told %d things", r.Status, r.Err, len(host.commands))
	}
}

// The switch may fail meanwhile, and then nothing else keeps us with the host.
func TestAHostIsNotLeftWhileKeysAreOnTheirWayToIt(t *testing.T) {
	host := &double{}
	uploading, ended, delivered := make(chan struct{}), make(chan struct{}), make(chan struct{})
	host.run = func(command string, stdin io.Reader, stdout io.Writer) error {
		if strings.HasPrefix(command, "timeout") {
			close(uploading)
			<-ended
			time.Sleep(100 * time.Millisecond) // long enough to be left
			close(delivered)
			return errors.New("the host is locked")
		}
		defer close(ended)
		words := listed(t, command, stdin)
		fmt.Fprintf(stdout, "\r%s launch\n\r%[1]s began\n\r%[1]s job late-key.service\n", words[2])
		<-uploading
		fmt.Fprintf(stdout, "\r%s state - -\n\r%[1]s exit 1\n", words[2])
		return nil
	}
	if r := switchWithLateKey(t, host); r.Status != event.Failed {
		t.Errorf("%+v", r)
	}
	select {
	case <-delivered:
	default:
		t.Error("the deployment ended while an upload was under way")
		<-delivered
	}
}

// Once the host is being changed, what belongs to the change is done.
func TestAnInterruptDuringASwitchKeepsNoLateKeyBack(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	uploads := make(chan struct{}, 2)
	host := switching(t, 4, uploads)
	run := host.run
	host.run = func(command string, stdin io.Reader, stdout io.Writer) error {
		cancel(errors.New("interrupted"))
		return run(command, stdin, stdout)
	}
	n, j := lateNode(), &journal{}
	r := Run(ctx, Evaluated([]hive.Node{n}), Options{Want: plan.Want{Goal: hive.Switch}}, lateTools(j, host), j)[0]
	if r.Status != event.Failed || len(uploads) != 1 {
		t.Errorf("%s with %d uploads: %v", r.Status, len(uploads), r.Err)
	}
}
