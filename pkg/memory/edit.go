package memory

import (
	"slices"
	"strings"
)

// Edit is what an upload changes in a memory. It is written twice: before the files change,
// so that both the old and the new are known whatever happens then, and after it.
type Edit struct {
	was     *Memory
	May     []Entry  // what files are about to become
	Is      []Entry  // what files are, once that is done
	Not     []string // paths of files that are not, or no more ours
	Owe     []Job    // recorded with the first writing
	Settled []Job    // done: taken away
}

// Edit begins a change of the memory.
func (m *Memory) Edit() *Edit { return &Edit{was: m} }

// Set says what is at the entry's path, unless just that is known already. about: the file
// is yet to become that.
func (e *Edit) Set(entry Entry, about bool) {
	known := e.was.Of(entry.Path)
	if len(known) == 1 && known[0].same(entry) {
		return
	}
	e.Is = append(e.Is, entry)
	if about {
		e.May = append(e.May, entry)
	}
}

// Forget says that nothing of ours is at the path.
func (e *Edit) Forget(path string) {
	if len(e.was.Of(path)) > 0 {
		e.Not = append(e.Not, path)
	}
}

// Written is what becomes of one book's file.
type Written struct {
	Volatile bool
	// Whole: each text takes the place of the file. Otherwise each is added to it, the
	// second to what the first has made of it.
	Whole       bool
	First, Last string // "" for nothing to write
}

// Texts are both books' changes, none for one that stays as it is.
func (e *Edit) Texts() []Written {
	var list []Written
	for _, volatile := range []bool{true, false} {
		if w := e.text(volatile); w.First+w.Last != "" {
			list = append(list, w)
		}
	}
	return list
}

func (e *Edit) text(volatile bool) Written {
	var first, last strings.Builder
	book := e.was.book(volatile)
	for _, entry := range e.May {
		if entry.Volatile == volatile {
			first.WriteString(line(may, entry))
		}
	}
	for _, entry := range e.Is {
		switch {
		case entry.Volatile == volatile:
			last.WriteString(line(is, entry))
		case book.has(entry.Path): // it has moved from this file system to another one
			last.WriteString(lineNot(entry.Path))
		}
	}
	for _, path := range e.Not {
		if book.has(path) {
			last.WriteString(lineNot(path))
		}
	}
	if volatile { // a reboot does all jobs
		e.jobs(&first, &last)
	}
	w := Written{Volatile: volatile, First: newest(first.String()), Last: newest(last.String())}
	if added := len(w.First) + len(w.Last); added > 0 && (!book.there || book.worn(added)) {
		w.afresh(book)
	}
	return w
}

// jobs adds the lines of jobs, those that are owed to both texts, as one may fail.
func (e *Edit) jobs(first, last *strings.Builder) {
	for _, job := range e.Owe {
		if !slices.Contains(e.was.Owed(), job) {
			first.WriteString(lineOf(owe, job))
			last.WriteString(lineOf(owe, job))
		}
	}
	for _, job := range e.Settled {
		if slices.Contains(e.was.Owed(), job) {
			last.WriteString(lineOf(did, job))
		}
	}
}

// afresh has each text begin with the book as it is.
func (w *Written) afresh(b *book) {
	w.Whole = true
	if w.First != "" {
		w.First = b.text(maxText-len(w.First)) + w.First
	}
	w.Last = b.text(maxText-len(w.Last)) + w.Last
}

// newest is the last lines, not too many.
func newest(lines string) string {
	if len(lines) <= maxText {
		return lines
	}
	_, rest, _ := strings.Cut(lines[len(lines)-maxText:], "\n")
	return rest
}

func (b *book) has(path string) bool { return len(b.places[path]) > 0 }

// worn: more of it is over and done with than not, or it would be too large with so many
// bytes more.
func (b *book) worn(added int) bool {
	return b.lines > 2*(len(b.entries)+len(b.owed))+64 || b.size+added > maxText
}

// text is the book with nothing that is over, in so many bytes: the oldest entries go first.
func (b *book) text(room int) string {
	var lines []string
	for i := len(b.entries) - 1; i >= 0; i-- {
		word := is
		if i > 0 && b.entries[i-1].Path == b.entries[i].Path {
			word = may
		}
		l := line(word, b.entries[i])
		if room -= len(l); room < 0 {
			break
		}
		lines = append(lines, l)
	}
	slices.Reverse(lines)
	for _, job := range b.owed {
		lines = append(lines, lineOf(owe, job))
	}
	return header + "\n" + strings.Join(lines, "")
}
