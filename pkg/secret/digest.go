package secret

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// Digest is the SHA-256 of a secret. A short secret can be guessed from its
// digest, so a Digest refuses to be printed as a [Secret] does.
type Digest struct{ sum [sha256.Size]byte }

// Digest returns the SHA-256 of the content.
func (s Secret) Digest() Digest { return Digest{sha256.Sum256(s.content)} }

// ParseDigest reads 64 lower-case hexadecimal digits. Its error does not quote
// the input.
func ParseDigest(text string) (Digest, error) {
	var d Digest
	if hex.DecodedLen(len(text)) != len(d.sum) {
		return d, errors.New("not a SHA-256 digest")
	}
	if _, err := hex.Decode(d.sum[:], []byte(text)); err != nil {
		return d, errors.New("not a SHA-256 digest")
	}
	return d, nil
}

// Reveal returns the digest as hexadecimal digits, for the wire only.
func (d Digest) Reveal() string { return hex.EncodeToString(d.sum[:]) }

// String returns a placeholder.
func (Digest) String() string { return redacted }

// GoString returns a placeholder.
func (Digest) GoString() string { return redacted }

// Format writes a placeholder for every verb.
func (Digest) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// MarshalJSON fails with [ErrMarshal].
func (Digest) MarshalJSON() ([]byte, error) { return nil, ErrMarshal }

// MarshalText fails with [ErrMarshal].
func (Digest) MarshalText() ([]byte, error) { return nil, ErrMarshal }
