// Package secret holds bytes that refuse to be printed, logged or marshalled.
package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// redacted is what every formatting path yields instead of the content.
const redacted = "[secret]"

// ErrMarshal is returned by every attempt to serialise a [Secret].
var ErrMarshal = errors.New("a secret cannot be marshalled")

// Secret is the content of a key. Its only ways out are [Secret.Reveal] and [Secret.Send]; String,
// every fmt verb, JSON and text encoders show a placeholder or fail. The zero
// value is an empty secret. Digests of a secret count as secret as well.
type Secret struct {
	// A function: fmt does not ask an unexported field of a surrounding struct
	// how it wants to be printed, but looks through its pointers for some verbs.
	content func() []byte
	away    func() *elsewhere // where the content is not in memory
}

// New takes ownership of content: the caller must not modify it afterwards.
func New(content []byte) Secret {
	return Secret{content: func() []byte { return content }}
}

// Reveal returns the content in clear. It is not a copy: do not modify it, and
// hand it to nothing but the wire. It panics for one of [Elsewhere], which can only be
// sent.
func (s Secret) Reveal() []byte {
	if s.away != nil {
		panic("a secret that lies elsewhere cannot be revealed")
	}
	if s.content == nil {
		return nil
	}
	return s.content()
}

// Len is the size of the content in bytes.
func (s Secret) Len() int {
	if s.away != nil {
		return int(s.away().size)
	}
	return len(s.Reveal())
}

// Equal reports whether both secrets hold the same bytes.
func (s Secret) Equal(other Secret) bool {
	if s.away != nil || other.away != nil {
		return s.Digest().Equal(other.Digest())
	}
	return bytes.Equal(s.Reveal(), other.Reveal())
}

// Wipe overwrites the content, also that of every copy of the Secret, if it is in memory.
func (s Secret) Wipe() {
	if s.away == nil {
		clear(s.Reveal())
	}
}

// String returns a placeholder.
func (Secret) String() string { return redacted }

// GoString returns a placeholder, so that %#v does not print the content.
func (Secret) GoString() string { return redacted }

// Format writes a placeholder for every verb, %x and %d included.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// MarshalJSON fails with [ErrMarshal].
func (Secret) MarshalJSON() ([]byte, error) { return nil, ErrMarshal }

// MarshalText fails with [ErrMarshal].
func (Secret) MarshalText() ([]byte, error) { return nil, ErrMarshal }

// UnmarshalJSON takes a JSON string. Its error never quotes the input.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return errors.New("expected a string")
	}
	*s = New([]byte(text))
	return nil
}
