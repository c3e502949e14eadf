package status

import "github.com/colmena-go/colmena-go/pkg/closure"

// Comparison is a host's state beside the system that its node wants. What both need is
// not kept: of many hosts it would be much.
type Comparison struct {
	Host     State
	Wanted   closure.System
	Packages *closure.Diff // nil where that is not known, or the system is the same
	Copy     *Copy         // what the host's store lacks of Wanted; nil where that is not known
	Why      string        // what is not known, and why; "" if all is
}

// Copy is how much is to be copied.
type Copy struct {
	Paths int
	Bytes int64
}

// Same reports whether the host runs the wanted system.
func (c Comparison) Same() bool { return c.Host.Current.Path == c.Wanted.Path }

// Needs says what the systems need, where that is known, and what the host's store lacks of the wanted one.
func (c *Comparison) Needs(current, wanted map[string]int64, lacks []string) {
	if wanted != nil {
		c.Copy = &Copy{Paths: len(lacks)}
		for _, path := range lacks {
			c.Copy.Bytes += wanted[path]
		}
	}
	if current != nil && wanted != nil {
		old, new := c.Host.Current, c.Wanted
		old.Sizes, new.Sizes = current, wanted
		d := closure.Compare(old, new)
		c.Packages = &d
	}
}

// RebootParts are those of the wanted system that only a reboot puts into effect.
func (c Comparison) RebootParts() []string { return closure.RebootParts(c.Host.Booted, c.Wanted) }

// RebootReason says so for people.
func (c Comparison) RebootReason() string { return closure.RebootReason(c.Host.Booted, c.Wanted) }
