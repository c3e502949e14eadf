package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/record"
)

// Kept are [Streams] that are shown once all commands have ended.
type Kept struct {
	mu    sync.Mutex
	nodes map[string]outputs
	texts map[[sha256.Size]byte]string // equal ones are kept once
}

// keptSize is how much is kept of each stream, in bytes.
const keptSize = 1 << 20

// outputs is what a node's command printed.
type outputs struct{ stdout, stderr text }

// text is the beginning of what was printed, all of it unless size says more.
type text struct {
	sum  [sha256.Size]byte // of all
	head string
	size int64
}

func (t text) missing() int64 { return t.size - int64(len(t.head)) }

// Of implements [Streams].
func (k *Kept) Of(node string) (stdout, stderr io.Writer, end func()) {
	out, errs := &stream{hash: sha256.New()}, &stream{hash: sha256.New()}
	return out, errs, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.nodes == nil {
			k.nodes, k.texts = map[string]outputs{}, map[[sha256.Size]byte]string{}
		}
		k.nodes[node] = outputs{k.text(out), k.text(errs)}
	}
}

func (k *Kept) text(s *stream) text {
	t := text{size: s.size, sum: [sha256.Size]byte(s.hash.Sum(nil))}
	if _, known := k.texts[t.sum]; !known {
		k.texts[t.sum] = string(s.head)
	}
	t.head = k.texts[t.sum]
	return t
}

type stream struct {
	hash hash.Hash
	head []byte
	size int64
}

func (s *stream) Write(p []byte) (int, error) {
	s.hash.Write(p)
	s.size += int64(len(p))
	s.head = append(s.head, p[:min(len(p), keptSize-len(s.head))]...)
	return len(p), nil
}

// --- as JSON -------------------------------------------------------------------

// The form is documented in docs/json.md.
type execJSON struct {
	Node         string  `json:"node"`
	Status       string  `json:"status"`
	Step         string  `json:"step,omitempty"`
	Error        string  `json:"error,omitempty"`
	ExitStatus   *int    `json:"exitStatus"`
	Stdout       string  `json:"stdout"`
	Stderr       string  `json:"stderr"`
	StdoutBase64 string  `json:"stdoutBase64,omitempty"` // of what is no UTF-8
	StderrBase64 string  `json:"stderrBase64,omitempty"`
	StdoutCut    int64   `json:"stdoutCut,omitempty"` // bytes that are left out at the end
	StderrCut    int64   `json:"stderrCut,omitempty"`
	Seconds      float64 `json:"seconds"`

	Steps []stepJSON `json:"steps"`
}

// JSON prints what became of the commands as one JSON document; the record tells of
// the steps.
func (k *Kept) JSON(out io.Writer, run *record.Record, results []event.Result, now time.Time) error {
	list := make([]execJSON, 0, len(results))
	for _, r := range results {
		item := execJSON{Node: r.Node, Status: string(r.Status), Step: string(r.Step), ExitStatus: r.Exit, Seconds: seconds(r.Elapsed),
			Steps: stepsJSON(run.Node(r.Node), now)}
		if r.Err != nil {
			item.Error = r.Err.Error()
		}
		p := k.nodes[r.Node]
		item.Stdout, item.StdoutBase64 = forJSON(p.stdout)
		item.Stderr, item.StderrBase64 = forJSON(p.stderr)
		item.StdoutCut, item.StderrCut = p.stdout.missing(), p.stderr.missing()
		list = append(list, item)
	}
	return write(out, struct {
		Version int        `json:"version"`
		Results []execJSON `json:"results"`
	}{DocumentVersion, list})
}

// forJSON is a text, or else its base64.
func forJSON(t text) (plain, encoded string) {
	whole := t.head
	if t.missing() > 0 { // it may end within a character
		for i := 0; i < utf8.UTFMax && len(whole) > 0 && !utf8.ValidString(whole[max(0, len(whole)-utf8.UTFMax):]); i++ {
			whole = whole[:len(whole)-1]
		}
	}
	if utf8.ValidString(whole) {
		return whole, ""
	}
	return "", base64.StdEncoding.EncodeToString([]byte(t.head))
}

// --- in groups -----------------------------------------------------------------

// Groups prints what the commands printed, and what several printed alike only once,
// under the names of all of them. filter is for terminals.
func (k *Kept) Groups(out io.Writer, results []event.Result, filter bool) error {
	type same struct {
		exit           int
		stdout, stderr [sha256.Size]byte
	}
	var order []same
	nodes := map[same][]string{}
	for _, r := range results {
		p, ran := k.nodes[r.Node]
		if !ran {
			continue // why is told on standard error
		}
		s := same{-1, p.stdout.sum, p.stderr.sum}
		if r.Exit != nil {
			s.exit = *r.Exit
		}
		if nodes[s] == nil {
			order = append(order, s)
		}
		nodes[s] = append(nodes[s], r.Node)
	}
	slices.SortStableFunc(order, func(a, b same) int { return len(nodes[b]) - len(nodes[a]) })
	for i, s := range order {
		var b strings.Builder
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(heading(nodes[s], s.exit) + "\n")
		p := k.nodes[nodes[s][0]]
		body(&b, "", p.stdout, filter)
		body(&b, "stderr | ", p.stderr, filter)
		if p.stdout.size+p.stderr.size == 0 {
			b.WriteString("(no output)\n")
		}
		if _, err := io.WriteString(out, b.String()); err != nil {
			return err
		}
	}
	return nil
}

func heading(nodes []string, exit int) string {
	text := strings.Join(inARow(nodes), ", ") + ":"
	if len(nodes) > 1 {
		text += " same output"
	}
	switch {
	case exit < 0:
		text += " (the command did not end by itself)"
	case exit > 0:
		text += fmt.Sprintf(" (status %d)", exit)
	}
	return text
}

// inARow writes names that count up as their first and last: web-1 … web-20.
func inARow(names []string) (short []string) {
	names = slices.Clone(names)
	slices.SortFunc(names, func(a, b string) int {
		pa, na, _ := numbered(a)
		pb, nb, _ := numbered(b)
		return cmp.Or(strings.Compare(pa, pb), cmp.Compare(na, nb), strings.Compare(a, b))
	})
	for len(names) > 0 {
		n := 1
		for n < len(names) && names[n] == next(names[n-1]) {
			n++
		}
		if n > 2 {
			short = append(short, label(names[0])+" … "+label(names[n-1]))
		} else {
			for _, name := range names[:n] {
				short = append(short, label(name))
			}
		}
		names = names[n:]
	}
	return short
}

// numbered takes a name apart that ends with a number of so many digits; 0 for none.
func numbered(name string) (prefix string, number, digits int) {
	prefix = strings.TrimRight(name, "0123456789")
	digits = len(name) - len(prefix)
	number, err := strconv.Atoi(name[len(prefix):])
	if err != nil || digits > 9 {
		return name, 0, 0
	}
	return prefix, number, digits
}

// next is the name with a number that is one more, "" for none.
func next(name string) string {
	prefix, number, digits := numbered(name)
	if digits == 0 {
		return ""
	}
	return fmt.Sprintf("%s%0*d", prefix, digits, number+1)
}

func body(b *strings.Builder, prefix string, t text, filter bool) {
	for line := range strings.Lines(t.head) {
		line = strings.TrimSuffix(line, "\n")
		if filter {
			line = printable.Text(line)
		}
		b.WriteString(prefix + line + "\n")
	}
	if t.missing() > 0 {
		fmt.Fprintf(b, "%s… %s more\n", prefix, event.Size(t.missing()))
	}
}
