package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// answering is a host that answers as a function does.
type answering struct {
	*double
	answer func(program string, stdin io.Reader, stdout io.Writer) error
}

func (a answering) Run(_ context.Context, command string, stdin io.Reader, stdout, _ io.Writer) error {
	mark, program, _ := strings.Cut(strings.TrimPrefix(command, "sh -c 'echo "), "; ")
	fmt.Fprintln(stdout, strings.Replace(mark, `""`, "", 1))
	return a.answer(program, stdin, stdout)
}

// rebooting is a host that answers with another boot once it was told to reboot and
// some attempts have failed.
type rebooting struct {
	attempts []error // of Open, after the first
	boots    string  // the system
	was      string

	opened  int
	reboots int
}

func (r *rebooting) run(program string, _ io.Reader, stdout io.Writer) error {
	switch {
	case strings.Contains(program, "boot_id"):
		fmt.Fprintf(stdout, "boot-%d\n%s\n.\n", min(r.reboots, max(0, r.opened-len(r.attempts)-1)), r.boots)
	case strings.Contains(program, "current-system"):
		fmt.Fprintf(stdout, "%s\n%s\n.\n", r.boots, r.was)
	case strings.Contains(program, "systemctl reboot"):
		r.reboots++
		return errors.New("the connection was lost")
	}
	return nil
}

func (r *rebooting) tools() Tools {
	return Tools{
		Open: func(context.Context, hive.Node, func(string)) (Host, error) {
			r.opened++
			if n := r.opened - 2; n >= 0 && n < len(r.attempts) && r.attempts[n] != nil {
				return nil, r.attempts[n]
			}
			return answering{&double{}, r.run}, nil
		},
		Refused: func(err error) bool { return errors.Is(err, errStranger) },
		Vain:    func(err error) bool { return errors.Is(err, errPassword) },
	}
}

var errPassword = errors.New("the password was refused")

var errStranger = errors.New("another host key")

func TestARebootedHostIsWaitedFor(t *testing.T) {
	defer func(a, b time.Duration) { firstPause, lastPause = a, b }(firstPause, lastPause)
	firstPause, lastPause = time.Millisecond, 5*time.Millisecond
	down := errors.New("connection refused")
	many := slices.Repeat([]error{down}, 10_000)
	const system = "/nix/store/00000000000000000000000000000000-a"
	for _, c := range []struct {
		name   string
		host   rebooting
		status event.Status
		says   string
	}{
		{"at once", rebooting{boots: system, was: system}, event.Succeeded, ""},
		{"however often it does not answer, or has not begun", rebooting{attempts: []error{nil, down, down, nil, down}, boots: system, was: system}, event.Succeeded, ""},
		{"not for ever", rebooting{attempts: many, boots: system, was: system}, event.Failed, "not back 300ms after it was told to reboot (--reboot-timeout); last seen: connection refused"},
		{"not where it does not go down", rebooting{attempts: make([]error, 10_000), boots: system, was: system}, event.Failed, "it answers, and has not rebooted yet"},
		{"and no stranger in its place", rebooting{attempts: []error{down, errStranger}, boots: system, was: system}, event.Failed, "not trusted to be this host: another host key"},
		{"and no password shown twice that it refuses", rebooting{attempts: append([]error{down, errPassword}, many...), boots: system, was: system}, event.Failed, "refuses the login: the password was refused"},
		{"with the system that it was to boot", rebooting{boots: system, was: system + "-new"}, event.Failed, "booted " + system + " and not " + system + "-new"},
	} {
		host := c.host
		node := hive.Node{Name: "a", Target: &hive.Target{Host: "a"}}
		results := Run(t.Context(), Evaluated([]hive.Node{node}), Options{
			Want: plan.Want{Goal: hive.Reboot, Reboot: plan.Always}, RebootTimeout: 300 * time.Millisecond,
		}, host.tools(), &journal{})
		r := results[0]
		if r.Status != c.status || host.reboots != 1 || r.Rebooted != (c.status == event.Succeeded) {
			t.Errorf("%s: %s, %v, %d reboots", c.name, r.Status, r.Err, host.reboots)
		}
		if c.says != "" && (r.Step != plan.Await || !strings.Contains(r.Err.Error(), c.says)) {
			t.Errorf("%s: in step %q: %v", c.name, r.Step, r.Err)
		}
		if errors.Is(r.Err, errPassword) && host.opened != 3 {
			t.Errorf("%s: connected %d times", c.name, host.opened)
		}
	}
}
