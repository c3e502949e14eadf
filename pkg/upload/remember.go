package upload

import (
	"context"
	"io"
	"strconv"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/memory"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// This file is about what hosts remember of keys: pkg/memory knows what it means,
// host/5-remember.sh where it is.

// readMemory reads the text behind `memory BOOK SIZE`.
func readMemory(l *lines, m *memory.Memory, words []string, warn func(string)) error {
	size, err := strconv.Atoi(words[2])
	if err != nil || size < 0 || size > memory.MaxSize || !isBook(words[1]) {
		return errProtocol
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(l, text); err != nil {
		return errProtocol
	}
	if err := m.Read(words[1] == "1", text); err != nil {
		tellUnread(warn, words[1], err.Error())
	}
	return nil
}

// isBook: books have numbers, that of volatile files being 1.
func isBook(word string) bool { return word == "0" || word == "1" }

func tellUnread(warn func(string), book, why string) {
	where := "/var/lib/colmena-go/keys"
	if book == "1" {
		where = "/run/colmena-go/keys"
	}
	tell(warn, "what the host remembers of its keys ("+where+") is of no use, and begins anew: "+why)
}

func tell(warn func(string), text string) {
	if warn != nil {
		warn(text)
	}
}

// afterwards is how the memory changes with a plan that is done.
func afterwards(node string, m *memory.Memory, steps plan.KeyPlan) *memory.Edit {
	edit := m.Edit()
	for _, step := range steps {
		if step.Change == plan.Skipped {
			continue
		}
		entry := memory.Entry{
			Path: step.Key.Path(), Node: node, Attr: step.Key.Attr, Size: step.Size, Fingerprint: step.Key.Fingerprint,
			Placed: step.Change == plan.Changed, Volatile: step.Volatile,
		}
		if known, ok := m.Recognise(entry.Path, step.Size, step.Digest); ok {
			entry.Record = known.Record
			entry.Placed = entry.Placed || known.Placed
		} else {
			entry.Record = step.Digest.Salted()
		}
		edit.Set(entry, step.Send)
	}
	return edit
}

// Settle has the host forget jobs that it remembers as owed, since they are done. It waits
// for uploads that are under way. What is already forgotten is no error.
func Settle(ctx context.Context, host hostscript.Runner, req Request, jobs []memory.Job) error {
	if len(jobs) == 0 {
		return nil
	}
	req.setDefaults()
	req.Keys = nil
	limit := deadline(req, 0)
	c, stop := begin(ctx, host, limit, errLate(limit))
	defer stop()
	seen, err := c.look(req, hostscript.ID(), nil)
	if err != nil {
		return err
	}
	edit := seen.Memory.Edit()
	edit.Settled = jobs
	list, err := doList(nil, nil, nil, edit)
	if err != nil {
		return err
	}
	c.sendParts(ctx, list)
	if _, err := readDone(c.out, nil, req.Warn, nil); err != nil {
		return c.explain(err, nil)
	}
	return nil
}

// bookWords begins the list of what is to be done, with each book's (WHOLE SIZE SIZE), and
// returns the texts.
func bookWords(list *words, edit *memory.Edit) (texts [][]byte) {
	byBook := map[bool]memory.Written{}
	for _, w := range edit.Texts() {
		byBook[w.Volatile] = w
	}
	for _, volatile := range []bool{true, false} {
		w := byBook[volatile]
		whole := 0
		if w.Whole {
			whole = 1
		}
		list.addInt(whole)
		list.addInt(len(w.First))
		list.addInt(len(w.Last))
		texts = append(texts, []byte(w.First), []byte(w.Last))
	}
	return texts
}
