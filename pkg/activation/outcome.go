package activation

import (
	"fmt"
	"strings"
)

// Status is what an exit status of switch-to-configuration means.
type Status string

// The meanings; the numbers are those of NixOS' switch-to-configuration.
const (
	Switched             Status = "switched"               // 0: all that the goal asks for is done
	SwitchedWithFailures Status = "switched with failures" // 2 or 4: the new system runs, not all of it well
	RebootNeeded         Status = "reboot needed"          // 100: it takes effect at the next boot
	NotSwitched          Status = "not switched"           // anything else
)

// Outcome is how switch-to-configuration ended.
type Outcome struct {
	Status      Status
	Exit        int      // its exit status; 128 and the signal's number if one killed it
	FailedUnits []string // with SwitchedWithFailures, as far as they are known; sorted
}

// TookEffect reports whether the new system runs (or was shown, for
// dry-activate), so that keys are due which are uploaded after activation.
func (o Outcome) TookEffect() bool {
	return o.Status == Switched || o.Status == SwitchedWithFailures
}

// Err is nil when all went well, a needed reboot included, and says otherwise
// what did not.
func (o Outcome) Err() error {
	switch {
	case o.Status == Switched || o.Status == RebootNeeded:
		return nil
	case o.Exit == 2:
		return fmt.Errorf("the activation script failed (switch-to-configuration ended with 2); the new system is active%s", o.units("; failed units: "))
	case o.Exit == 4:
		return fmt.Errorf("the new system is active, but units failed (switch-to-configuration ended with 4)%s", o.units(": "))
	case o.Exit > 128 && o.Exit <= 128+64:
		return fmt.Errorf("switch-to-configuration was killed by signal %d; the host may be between two systems: activate again", o.Exit-128)
	default:
		return fmt.Errorf("switch-to-configuration ended with %d; the new system is not active", o.Exit)
	}
}

func (o Outcome) units(prefix string) string {
	if len(o.FailedUnits) == 0 {
		return ""
	}
	return prefix + strings.Join(o.FailedUnits, ", ")
}

func statusOf(exit int) Status {
	switch exit {
	case 0:
		return Switched
	case 2, 4:
		return SwitchedWithFailures
	case 100:
		return RebootNeeded
	default:
		return NotSwitched
	}
}
