package activation

import (
	"errors"
	"fmt"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// Outcome is how an activation ended, and what the host has since: that is asked
// of the host and not concluded from the exit status, since a switch may fail
// before or after the new system is the current one.
type Outcome struct {
	Request     Request
	Exit        int      // exit status of switch-to-configuration; 128 and the signal's number if one killed it
	Killed      string   // where to read more about an activation that was killed as a whole; "" if it was not
	FailedUnits []string // as far as they are known, after an end other than 0 and 100; sorted
	Current     string   // what /run/current-system leads to; "" for nothing
	Profile     string   // what /nix/var/nix/profiles/system leads to; "" for nothing
}

// Exit statuses of switch-to-configuration, in both of nixpkgs' versions.
const (
	exitBootLoader = 1   // nothing was done, or the boot loader could not be installed
	exitScript     = 2   // the activation script failed
	exitUnits      = 4   // units failed; less, but more than exitBootLoader: after the boot loader
	exitReboot     = 100 // the system takes effect at the next boot
)

// Active reports whether the new system is the host's current one.
func (o Outcome) Active() bool { return o.Current != "" && o.Current == o.Request.Toplevel }

// boots reports whether the new system is what the host boots.
func (o Outcome) boots() bool { return o.Profile != "" && o.Profile == o.Request.Toplevel }

// RebootNeeded reports whether the new system waits for a reboot, which the goal
// boot does not count as.
func (o Outcome) RebootNeeded() bool { return o.Killed == "" && o.Exit == exitReboot }

// TookEffect reports whether the goal is reached as far as keys are concerned that
// are uploaded after activation: the system that wants them is the current one or,
// with boot, the next.
func (o Outcome) TookEffect() bool {
	switch {
	case o.RebootNeeded() || o.Request.Goal == hive.DryActivate:
		return false
	case o.Request.Goal == hive.Boot:
		return o.boots() && o.Exit == 0 && o.Killed == ""
	}
	return o.Active()
}

// Err is nil when all went well, a needed reboot included, and says otherwise
// what did not and what the host has now.
func (o Outcome) Err() error {
	text := ""
	switch {
	case o.Killed != "":
		return fmt.Errorf("%w (%s says more); %s", ErrKilled, o.Killed, o.state())
	case o.Exit == 0 && o.asAsked():
		return nil
	case o.Exit == exitReboot && (!o.Request.Goal.SetsProfile() || o.boots()):
		return nil
	case o.Exit == exitScript:
		text = "the activation script failed (switch-to-configuration ended with 2)"
	case o.Exit == exitUnits:
		text = "units failed (switch-to-configuration ended with 4)"
	case o.Exit > 128 && o.Exit <= 128+64:
		text = fmt.Sprintf("switch-to-configuration was killed by signal %d, activate again", o.Exit-128)
	default:
		text = fmt.Sprintf("switch-to-configuration ended with %d", o.Exit)
	}
	if len(o.FailedUnits) > 0 {
		text += "; failed units: " + strings.Join(o.FailedUnits, ", ")
	}
	return errors.New(text + "; " + o.state())
}

// asAsked reports whether the host has what the goal asks for.
func (o Outcome) asAsked() bool {
	switch o.Request.Goal {
	case hive.Switch:
		return o.Active() && o.boots()
	case hive.Test:
		return o.Active()
	case hive.Boot:
		return o.boots()
	}
	return true // dry-activate changes nothing
}

// state says what the host has now, as far as the goal is about it.
func (o Outcome) state() string {
	goal := o.Request.Goal
	var now []string
	if goal != hive.Boot {
		now = append(now, what(o.Active() && goal != hive.DryActivate, "the new system is active", "the host runs", o.Current))
	}
	if goal.SetsProfile() {
		now = append(now, what(o.boots(), o.next(), "it boots", o.Profile))
	}
	return strings.Join(now, " and ")
}

// next says what the new system in the profile means for the next boot. The boot
// loader is told of it first of all, so that whatever came later shows that it was.
func (o Outcome) next() string {
	switch {
	case o.Exit == exitBootLoader:
	case o.Active(), o.Killed == "" && o.Exit <= exitUnits, o.Exit == exitReboot:
		return "it boots the new system"
	}
	return "its system profile is the new system, of which the boot loader may not know"
}

func what(isNew bool, yes, other, path string) string {
	switch {
	case isNew:
		return yes
	case path == "":
		return other + " no NixOS system"
	}
	return other + " " + path
}
