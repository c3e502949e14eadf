package status

import "github.com/colmena-go/colmena-go/pkg/closure"

// Comparison is a host's state beside the system that its node wants. The packages of
// both are in their Sizes, if they are known.
type Comparison struct {
	Host   State
	Wanted closure.System
	Lacks  []string // what the host's store lacks of Wanted
	Why    string   // what is not known, and why; "" if all is
}

// Same reports whether the host runs the wanted system.
func (c Comparison) Same() bool { return c.Host.Current.Path == c.Wanted.Path }

// Known reports whether the packages of both are.
func (c Comparison) Known() bool { return c.Host.Current.Known() && c.Wanted.Known() }

// Diff compares what is [Comparison.Known].
func (c Comparison) Diff() closure.Diff { return closure.Compare(c.Host.Current, c.Wanted) }

// ToCopy is how many bytes the host lacks.
func (c Comparison) ToCopy() (bytes int64) {
	for _, path := range c.Lacks {
		bytes += c.Wanted.Sizes[path]
	}
	return bytes
}

// RebootParts are those of the wanted system that only a reboot puts into effect.
func (c Comparison) RebootParts() []string { return closure.RebootParts(c.Host.Booted, c.Wanted) }

// RebootReason says so for people.
func (c Comparison) RebootReason() string { return closure.RebootReason(c.Host.Booted, c.Wanted) }
