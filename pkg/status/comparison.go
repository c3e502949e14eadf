package status

import "github.com/colmena-go/colmena-go/pkg/closure"

// Comparison is a host's state beside the system that its node wants.
type Comparison struct {
	Host   State
	Wanted closure.System
	closure.Found
}

// Same reports whether the host runs the wanted system.
func (c Comparison) Same() bool { return c.Host.Current.Path == c.Wanted.Path }

// RebootParts are those of the wanted system that only a reboot puts into effect.
func (c Comparison) RebootParts() []string { return closure.RebootParts(c.Host.Booted, c.Wanted) }

// RebootReason says so for people.
func (c Comparison) RebootReason() string { return closure.RebootReason(c.Host.Booted, c.Wanted) }
