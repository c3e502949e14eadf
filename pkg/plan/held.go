package plan

import (
	"fmt"
	"strconv"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// NotHeldError is of keys of which a host was to hold the content, and does not. Their
// content is needed.
type NotHeldError struct {
	Keys []string // attribute names
}

func (e *NotHeldError) Error() string {
	names := make([]string, len(e.Keys))
	for i, key := range e.Keys {
		names[i] = strconv.Quote(key)
	}
	return fmt.Sprintf("the host no longer has what it remembers of the keys %s", hive.FirstFew(names))
}

// Held completes the wanted keys of which the host holds the content: it is what the host
// remembers, with the key's own fingerprint. It fails with [*NotHeldError].
func Held(wanted []WantedKey, seen Observed) ([]WantedKey, error) {
	list := make([]WantedKey, len(wanted))
	var gone []string
	for i, want := range wanted {
		if want.Held {
			file := seen.Files[want.Key.Path()]
			entry, ok := seen.Memory.Recognise(want.Key.Path(), file.Size, file.Digest)
			if !ok || !file.Present || want.Key.Fingerprint == "" || entry.Fingerprint != want.Key.Fingerprint {
				gone = append(gone, want.Key.Attr)
			}
			want.Size, want.Digest = file.Size, file.Digest
		}
		list[i] = want
	}
	return list, notHeld(gone)
}

// NeedsContent is a [*NotHeldError] of the keys that are held and must be sent all the same.
func (p KeyPlan) NeedsContent() error {
	var keys []string
	for _, step := range p {
		if step.Held && step.Send {
			keys = append(keys, step.Key.Attr)
		}
	}
	return notHeld(keys)
}

func notHeld(keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	return &NotHeldError{keys}
}
