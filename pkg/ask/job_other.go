//go:build !linux

package ask

import "errors"

const jobControl = false

func stopped(int) bool { return false }

func (t *terminal) giveTo(int) error { return errors.ErrUnsupported }

func (t *terminal) stopWriters() (undo func()) { return nil }

func unstopped(f func()) { f() }

func visitors() map[int]bool { return nil }
