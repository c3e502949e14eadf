package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/activation"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// DefaultRebootTimeout is how long a host may take to be back: servers test their
// memory, and what does not stop is given 90 seconds by systemd.
const DefaultRebootTimeout = 10 * time.Minute

// toBoot is the system that the host is to boot, "" if that is not known.
func (n *nodeRun) toBoot() string {
	if n.opts.Goal.SetsProfile() {
		return n.node.Toplevel.OutPath
	}
	return n.had.Profile
}

// seeOutdated learns whether the host would boot something else than it has booted.
func (n *nodeRun) seeOutdated(ctx context.Context) error {
	n.quietly("asking the host whether it needs a reboot")
	if n.result.RebootNeeded {
		n.note("a reboot is needed: switch-to-configuration asks for it")
		return nil
	}
	if n.toBoot() == "" {
		return errors.New("the host has no system profile, so it cannot be told whether it needs a reboot")
	}
	parts, err := activation.Outdated(ctx, n.host, n.toBoot())
	if err != nil {
		return err
	}
	n.known.Current = len(parts) == 0
	switch {
	case !n.known.Current:
		n.note("a reboot is needed: the booted system has a different " + strings.Join(parts, ", "))
	case n.opts.Goal != hive.Reboot: // where that is all there is to tell
		n.note("no reboot is needed")
	}
	return nil
}

// reboot has the host begin to reboot. What keys hold is not kept for its return.
func (n *nodeRun) reboot(ctx context.Context) (err error) {
	n.begin("rebooting")
	if n.boot, err = activation.Booted(ctx, n.host); err != nil {
		return err
	}
	n.keys, n.jobs = keySet{}, unitJobs{}
	n.changing = true
	return activation.Reboot(context.WithoutCancel(ctx), n.host)
}

// await connects to the host again once it has booted what it was to boot.
func (n *nodeRun) await(ctx context.Context) error {
	n.begin("waiting for the host to be back")
	limit := n.opts.RebootTimeout
	if limit <= 0 {
		limit = DefaultRebootTimeout
	}
	n.host.Close()
	n.host = nil
	var boot activation.Boot
	seen, err := n.seek(ctx, limit, func(ctx context.Context) (host Host, err error) {
		host, boot, err = n.lookForBoot(ctx)
		return host, err
	})
	switch {
	case err == nil:
		return n.judgeBoot(boot)
	case errors.Is(err, errTooLate):
		return n.notBack(limit, seen)
	case n.refused(err):
		return fmt.Errorf("what answers after the reboot is not trusted to be this host: %w", err)
	case n.vain(err):
		return fmt.Errorf("the host answers after the reboot, but refuses the login: %w%s", err, n.keysMissing())
	}
	return err
}

// keysMissing says what is left to do on a host that does not return.
func (n *nodeRun) keysMissing() string {
	if n.opts.UploadsKeys(n.node) {
		return "; its keys are not sent yet: run upload-keys once it is back"
	}
	return ""
}

// notBack is the error of a host that does not return.
func (n *nodeRun) notBack(limit time.Duration, seen error) error {
	hint := "look at its console" + n.keysMissing()
	return fmt.Errorf("the host is not back %s after it was told to reboot (--reboot-timeout); last seen: %w; %s", limit, seen, hint)
}

// errSameBoot: the host is not down yet, or does not go down.
var errSameBoot = errors.New("it answers, and has not rebooted yet")

// lookForBoot tries once to find the host after its reboot.
func (n *nodeRun) lookForBoot(ctx context.Context) (Host, activation.Boot, error) {
	host, err := n.tools.Open(ctx, n.node, n.note)
	if err != nil {
		return nil, activation.Boot{}, err
	}
	boot, err := activation.Booted(ctx, host)
	switch {
	case err == nil && boot.ID == n.boot.ID:
		err = errSameBoot
	case err == nil && boot.System == "" && n.boot.System != "":
		err = errors.New("it answers, and does not say yet what it has booted")
	}
	if err != nil {
		host.Close()
		return nil, activation.Boot{}, err
	}
	return host, boot, nil
}

// judgeBoot sees that the host booted the right system. Its files of keys are those of
// another time: what earlier phases of the deployment know of them is forgotten.
func (n *nodeRun) judgeBoot(boot activation.Boot) error {
	if want := n.toBoot(); want != "" && boot.System != want {
		return fmt.Errorf("the host booted %s and not %s, which was to be booted: see what its boot loader does (is /boot full, or is another entry the default?)", orNothing(boot.System), want)
	}
	n.result.Rebooted, n.result.RebootNeeded = true, false
	n.places = plan.Places{}
	n.note("rebooted")
	return nil
}

func orNothing(system string) string {
	if system == "" {
		return "no NixOS system"
	}
	return system
}
