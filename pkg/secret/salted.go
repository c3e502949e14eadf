package secret

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Salted is a digest that may be kept beside a file of root's: the HMAC-SHA256 of a
// [Digest] under a random salt of its own. It recognises the digest, and cannot be looked
// up in a table. Whoever has it can still try guesses one by one, so it counts as secret,
// and refuses to be printed as a [Secret] does. The zero value recognises none.
type Salted struct {
	parts func() (salt [saltSize]byte, sum [sha256.Size]byte) // a function for the same reason as in Secret
}

const saltSize = 16

// Salted returns the digest under a fresh salt.
func (d Digest) Salted() Salted {
	if d.sum == nil {
		return Salted{}
	}
	var salt [saltSize]byte
	rand.Read(salt[:]) // never fails
	return newSalted(salt, salted(salt, d))
}

func newSalted(salt [saltSize]byte, sum [sha256.Size]byte) Salted {
	return Salted{func() ([saltSize]byte, [sha256.Size]byte) { return salt, sum }}
}

func salted(salt [saltSize]byte, d Digest) (sum [sha256.Size]byte) {
	content := d.sum()
	mac := hmac.New(sha256.New, salt[:])
	mac.Write(content[:])
	copy(sum[:], mac.Sum(nil))
	return sum
}

// Of reports whether it was made of that digest.
func (s Salted) Of(d Digest) bool {
	if s.parts == nil || d.sum == nil {
		return false
	}
	salt, sum := s.parts()
	again := salted(salt, d)
	return hmac.Equal(sum[:], again[:])
}

// Reveal returns both parts as text without white space, for the wire only.
func (s Salted) Reveal() string {
	if s.parts == nil {
		return ":"
	}
	salt, sum := s.parts()
	return base64.RawStdEncoding.EncodeToString(salt[:]) + ":" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// ParseSalted reads what Reveal returned. Its error does not quote the input.
func ParseSalted(text string) (Salted, error) {
	before, after, _ := strings.Cut(text, ":")
	salt, err1 := base64.RawStdEncoding.DecodeString(before)
	sum, err2 := base64.RawStdEncoding.DecodeString(after)
	if errors.Join(err1, err2) != nil || len(salt) != saltSize || len(sum) != sha256.Size {
		return Salted{}, errors.New("not a salted digest")
	}
	return newSalted([saltSize]byte(salt), [sha256.Size]byte(sum)), nil
}

// String returns a placeholder.
func (Salted) String() string { return redacted }

// GoString returns a placeholder.
func (Salted) GoString() string { return redacted }

// Format writes a placeholder for every verb.
func (Salted) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// MarshalJSON fails with [ErrMarshal].
func (Salted) MarshalJSON() ([]byte, error) { return nil, ErrMarshal }

// MarshalText fails with [ErrMarshal].
func (Salted) MarshalText() ([]byte, error) { return nil, ErrMarshal }
