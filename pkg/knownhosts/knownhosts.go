// Package knownhosts says what known_hosts files (sshd(8), SSH_KNOWN_HOSTS FILE
// FORMAT) know of a host, as OpenSSH reads them: a line that makes no sense to it
// is passed over, and costs no other line its effect.
package knownhosts

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Known is the lines of some files. The zero value knows nothing.
type Known struct{ parts []*part }

// Entry is a key that a file has for a host, and where.
type Entry struct {
	Key  ssh.PublicKey
	File string
	Line int
}

const (
	authority = "@cert-authority"
	revoked   = "@revoked"
)

// Add adds the text of a file.
func (k *Known) Add(file, text string) {
	k.parts = append(slices.Clip(k.parts), newPart(file, text, 0))
}

// of are the entries with a marker, or none, for a name as files have it.
func (k Known) of(name, marker string) (found []Entry) {
	name = strings.ToLower(name)
	for _, part := range k.parts {
		for _, l := range part.of(name, marker) {
			_, rest := word(l.rest) // the key's type, which the key says as well
			text, _ := word(rest)
			blob, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				continue
			}
			if key, err := ssh.ParsePublicKey(blob); err == nil {
				found = append(found, Entry{key, part.file, l.number})
			}
		}
	}
	return found
}

// matches reports whether patterns, which may be a hash, mean the name, which is in
// lower case.
func matches(patterns, name string) bool {
	if rest, found := strings.CutPrefix(patterns, "|1|"); found {
		salt, sum, _ := strings.Cut(rest, "|")
		s, err1 := base64.StdEncoding.DecodeString(salt)
		want, err2 := base64.StdEncoding.DecodeString(sum)
		mac := hmac.New(sha1.New, s)
		mac.Write([]byte(name))
		return err1 == nil && err2 == nil && hmac.Equal(mac.Sum(nil), want)
	}
	meant := false
	for pattern := range strings.SplitSeq(patterns, ",") {
		pattern, not := strings.CutPrefix(pattern, "!")
		if !wild(pattern, name) {
			continue
		}
		if not {
			return false
		}
		meant = true
	}
	return meant
}

// wild matches a name with a pattern of * and ? (PATTERNS in ssh_config(5)).
func wild(pattern, name string) bool {
	star, from := -1, 0 // where to go on if the rest does not match
	p, n := 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || lower(pattern[p]) == name[n]):
			p++
			n++
		case star >= 0:
			from++
			p, n = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
