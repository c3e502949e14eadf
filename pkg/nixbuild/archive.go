package nixbuild

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A path travels as an archive (NAR): texts, each with its length before it and padded
// to 8 bytes. Nothing says where it ends but its closing bracket; what files hold, and
// names, are texts too, which may look like one.

var errArchive = errors.New("the local store's content for this path does not match the store's database: nix-store --verify --check-contents finds what is wrong")

// mostSyntax is the length of the longest word of the format, which "nix-archive-1" is.
const mostSyntax = 13

// archive is one on its way.
type archive struct {
	to   io.Writer
	from *bufio.Reader
	left int64 // bytes
}

// copyArchive passes on one archive of a size that is known, and fails where it has
// another one.
func copyArchive(to io.Writer, from *bufio.Reader, size int64) error {
	a := &archive{to, from, size}
	for depth := 0; ; {
		word, err := a.syntax()
		if err != nil {
			return err
		}
		switch word {
		case "(":
			depth++
		case ")":
			depth--
		case "contents", "name", "target":
			length, err := a.length()
			if err == nil {
				err = a.pass(length)
			}
			if err != nil {
				return err
			}
		}
		if word == ")" && depth == 0 {
			break
		}
	}
	if a.left != 0 {
		return errArchive
	}
	return nil
}

// take accounts for bytes that are to come.
func (a *archive) take(n uint64) error {
	if n > uint64(a.left) {
		return errArchive
	}
	a.left -= int64(n)
	return nil
}

// length passes on the length of a text.
func (a *archive) length() (uint64, error) {
	var bytes [8]byte
	if err := a.take(8); err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(a.from, bytes[:]); err != nil {
		return 0, err
	}
	_, err := a.to.Write(bytes[:])
	return binary.LittleEndian.Uint64(bytes[:]), err
}

// pass passes on a text of any content, with its padding.
func (a *archive) pass(length uint64) error {
	if length > uint64(a.left) { // before it is added to
		return errArchive
	}
	whole := length + -length&7
	if err := a.take(whole); err != nil {
		return err
	}
	_, err := io.CopyN(a.to, a.from, int64(whole))
	return err
}

// syntax passes on a word of the format.
func (a *archive) syntax() (string, error) {
	length, err := a.length()
	if err != nil {
		return "", err
	}
	if length > mostSyntax {
		return "", fmt.Errorf("a word of %d bytes in an archive: %w", length, errArchive)
	}
	text, err := a.from.Peek(int(length))
	if err != nil {
		return "", err
	}
	word := string(text)
	return word, a.pass(length)
}
