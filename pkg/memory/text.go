package memory

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/colmena-go/colmena-go/pkg/secret"
)

// A book is lines, of which later ones count more, so that it is changed by adding some.
// Words that may hold anything are quoted as in Go.
//
//	colmena-go keys 1
//	is  placed|found SIZE RECORD NODE ATTR PATH FINGERPRINT    what is at the path
//	may placed|found SIZE RECORD NODE ATTR PATH FINGERPRINT    or else this is
//	not PATH                                                   nothing of ours is there
//	owe restart|reload UNIT NODE                               a job that is to be done
//	did restart|reload UNIT NODE                               it is no more
const header = "colmena-go keys 1"

// The first words of lines.
const (
	is  = "is"
	may = "may"
	not = "not"
	owe = "owe"
	did = "did"
)

// MaxSize is how many bytes of a book are read. Fewer are written.
const (
	MaxSize = 8 << 20
	maxText = 6 << 20
	maxOwed = 1000 // jobs, each of which is compared with all
)

// errUnread: the text is not that of a book, or of one that a later version has written.
var errUnread = errors.New("it is damaged, or of another version of colmena-go")

// Read adds what a book says. With an error, which quotes nothing of it, the book counts as
// one that is not there.
func (m *Memory) Read(volatile bool, text []byte) error {
	b, err := read(volatile, text)
	if err != nil {
		b = book{}
	}
	*m.book(volatile) = b
	return err
}

func read(volatile bool, text []byte) (book, error) {
	rest, ok := bytes.CutPrefix(text, []byte(header+"\n"))
	if !ok || len(text) > MaxSize {
		return book{}, errUnread
	}
	b := book{there: true, size: len(text), places: map[string][]Entry{}}
	var order []string // of paths; those that came again are there again
	latest := map[string]int{}
	for len(rest) > 0 {
		text, after, whole := bytes.Cut(rest, []byte("\n"))
		if !whole {
			return book{}, errUnread
		}
		rest = after
		b.lines++
		l, err := parse(string(text))
		if err != nil || len(b.owed) > maxOwed {
			return book{}, errUnread
		}
		l.entry.Volatile = volatile
		if b.add(l) {
			latest[l.entry.Path] = len(order)
			order = append(order, l.entry.Path)
		}
	}
	for i, path := range order {
		if latest[path] == i {
			b.entries = append(b.entries, b.places[path]...)
		}
	}
	return b, nil
}

// add takes in a line, and tells whether that is about what is at a path.
func (b *book) add(l parsed) bool {
	path := l.entry.Path
	switch l.word {
	case is:
		b.places[path] = []Entry{l.entry}
		return true
	case may:
		b.places[path] = append(b.places[path], l.entry)
		return true
	case not:
		delete(b.places, path)
	case owe:
		if !slices.Contains(b.owed, l.job) {
			b.owed = append(b.owed, l.job)
		}
	case did:
		b.owed = slices.DeleteFunc(b.owed, func(j Job) bool { return j == l.job })
	}
	return false
}

// parsed is a line: an entry, of which `not` sets the path alone, or a job.
type parsed struct {
	word  string
	entry Entry
	job   Job
}

func parse(text string) (l parsed, err error) {
	word, rest, _ := strings.Cut(text, " ")
	l.word = word
	switch word {
	case is, may:
		l.entry, err = parseEntry(rest)
	case not:
		var words []string
		if words, err = unquote(rest, 1); err == nil {
			l.entry.Path = words[0]
			err = checkPath(words[0])
		}
	case owe, did:
		kind, rest, _ := strings.Cut(rest, " ")
		var words []string
		if words, err = unquote(rest, 2); err == nil {
			l.job = Job{Unit: words[0], Reload: kind == "reload", Node: words[1]}
		}
		if kind != "restart" && kind != "reload" {
			err = errUnread
		}
	default:
		err = errUnread
	}
	return l, err
}

func parseEntry(text string) (Entry, error) {
	parts := strings.SplitN(text, " ", 4)
	if len(parts) != 4 || parts[0] != "placed" && parts[0] != "found" {
		return Entry{}, errUnread
	}
	size, err1 := strconv.ParseUint(parts[1], 10, 40)
	record, err2 := secret.ParseSalted(parts[2])
	words, err3 := unquote(parts[3], 4)
	if errors.Join(err1, err2, err3) != nil || checkPath(words[2]) != nil {
		return Entry{}, errUnread
	}
	return Entry{
		Path: words[2], Node: words[0], Attr: words[1], Size: int64(size), Record: record,
		Fingerprint: words[3], Placed: parts[0] == "placed",
	}, nil
}

// maxWord is what a word may have in bytes: as much as a path.
const maxWord = 4096

// unquote reads so many quoted words. They are of a host: none breaks a line.
func unquote(text string, n int) ([]string, error) {
	words := make([]string, n)
	for i := range words {
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil || quoted[0] != '"' {
			return nil, errUnread
		}
		text = text[len(quoted):]
		if i < n-1 {
			var ok bool
			if text, ok = strings.CutPrefix(text, " "); !ok {
				return nil, errUnread
			}
		}
		word, err := strconv.Unquote(quoted)
		if err != nil || len(word) > maxWord || strings.ContainsFunc(word, unicode.IsControl) {
			return nil, errUnread
		}
		words[i] = word
	}
	if text != "" {
		return nil, errUnread
	}
	return words, nil
}

// checkPath keeps to what a hive may declare.
func checkPath(text string) error {
	if !path.IsAbs(text) || path.Clean(text) != text || text == "/" {
		return errUnread
	}
	return nil
}

func line(word string, e Entry) string {
	origin := "found"
	if e.Placed {
		origin = "placed"
	}
	return fmt.Sprintf("%s %s %d %s %q %q %q %q\n", word, origin, e.Size, e.Record.Reveal(), e.Node, e.Attr, e.Path, e.Fingerprint)
}

func lineNot(path string) string { return fmt.Sprintf("%s %q\n", not, path) }

func lineOf(word string, j Job) string {
	kind := "restart"
	if j.Reload {
		kind = "reload"
	}
	return fmt.Sprintf("%s %s %q %q\n", word, kind, j.Unit, j.Node)
}
