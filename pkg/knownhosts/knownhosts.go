// Package knownhosts says what known_hosts files (sshd(8), SSH_KNOWN_HOSTS FILE
// FORMAT) know of a host, as OpenSSH reads them: a line that makes no sense to it
// is passed over, and costs no other line its effect.
package knownhosts

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Known is the lines of some files. The zero value knows nothing.
type Known struct{ lines []line }

// line is one of a file; most are about other hosts, and never taken apart.
type line struct {
	text   string
	file   string
	number int
}

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

// Read reads files; those that do not exist are empty.
func Read(files ...string) (k Known, err error) {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Known{}, fmt.Errorf("known_hosts: %w", err)
		}
		k.Add(file, string(text))
	}
	return k, nil
}

// Add adds the text of a file.
func (k *Known) Add(file, text string) {
	k.lines = slices.Grow(k.lines, strings.Count(text, "\n")+1)
	number := 0
	for one := range strings.Lines(text) {
		number++
		if one = strings.TrimLeft(one, " \t"); one != "" && one[0] != '#' && one[0] != '\n' {
			k.lines = append(k.lines, line{one, file, number})
		}
	}
}

// of are the entries with a marker, or none, for a name as files have it.
func (k Known) of(name, marker string) (found []Entry) {
	name = strings.ToLower(name)
	for _, l := range k.lines {
		patterns, rest := word(l.text)
		if strings.HasPrefix(patterns, "@") != (marker != "") || marker != "" && patterns != marker {
			continue
		}
		if marker != "" {
			patterns, rest = word(rest)
		}
		if !matches(patterns, name) {
			continue
		}
		_, rest = word(rest) // the key's type, which the key says as well
		text, _ := word(rest)
		blob, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			continue
		}
		if key, err := ssh.ParsePublicKey(blob); err == nil {
			found = append(found, Entry{key, l.file, l.number})
		}
	}
	return found
}

// word cuts the first word off.
func word(text string) (first, rest string) {
	end := strings.IndexAny(text, " \t\r\n")
	if end < 0 {
		return text, ""
	}
	return text[:end], strings.TrimLeft(text[end:], " \t\r\n")
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
