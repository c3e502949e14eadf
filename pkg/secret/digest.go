package secret

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// Digest is the SHA-256 of a secret. A short secret can be guessed from its
// digest, so a Digest refuses to be printed as a [Secret] does.
type Digest struct {
	sum func() [sha256.Size]byte // a function for the same reason as in Secret
}

func newDigest(sum [sha256.Size]byte) Digest {
	return Digest{func() [sha256.Size]byte { return sum }}
}

// Digest returns the SHA-256 of the content.
func (s Secret) Digest() Digest {
	if s.away != nil {
		return s.away().digest
	}
	sum := sha256.Sum256(s.Reveal())
	return newDigest(sum)
}

// ParseDigest reads 64 lower-case hexadecimal digits. Its error does not quote
// the input.
func ParseDigest(text string) (Digest, error) {
	var sum [sha256.Size]byte
	if hex.DecodedLen(len(text)) != len(sum) {
		return Digest{}, errors.New("not a SHA-256 digest")
	}
	if _, err := hex.Decode(sum[:], []byte(text)); err != nil {
		return Digest{}, errors.New("not a SHA-256 digest")
	}
	return newDigest(sum), nil
}

// Equal reports whether both are digests of the same content. The zero Digest
// equals none.
func (d Digest) Equal(other Digest) bool {
	return d.sum != nil && other.sum != nil && d.sum() == other.sum()
}

// Reveal returns the digest as hexadecimal digits, for the wire only; "" for
// the zero Digest.
func (d Digest) Reveal() string {
	if d.sum == nil {
		return ""
	}
	sum := d.sum()
	return hex.EncodeToString(sum[:])
}

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
