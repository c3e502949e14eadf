// Package plan turns what a hive wants and what a host has into what is to be
// done. It is pure: tests read the same plan that pkg/upload executes.
package plan

import "slices"

// Change says what an upload did, or would do, to one key.
type Change string

// The changes a key can go through.
const (
	Changed   Change = "changed"   // new content (and owner, group, mode)
	Mended    Change = "mended"    // same content; owner, group or mode set right
	Unchanged Change = "unchanged" // nothing touched
	Skipped   Change = "skipped"   // not sent, with a note saying why
	Removed   Change = "removed"   // it is no key any more
)

// Exceeds reports whether c does more to a key than other.
func (c Change) Exceeds(other Change) bool {
	order := []Change{Skipped, Unchanged, Mended, Changed, Removed}
	return slices.Index(order, c) > slices.Index(order, other)
}
