package remote

import (
	"strings"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/printable"
)

// tail keeps the last part of what a command says on stderr.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 1000

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	size := len(p)
	p = p[max(0, size-tailSize):]
	if extra := len(t.text) + len(p) - tailSize; extra > 0 {
		t.text = t.text[:copy(t.text, t.text[extra:])] // moved, so that the memory is used again
	}
	t.text = append(t.text, p...)
	return size, nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}

// after is what was said behind some words, or nothing at all.
func (t *tail) after(words string) string {
	said := printable.Said(t.String(), 160)
	if said == "" {
		return ""
	}
	return words + said
}
