package nixeval

import (
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// said is what the processes of one evaluation have said. Each evaluates the hive,
// and what that says is told once.
type said struct {
	log zerolog.Logger

	mu       sync.Mutex
	by       map[string]*journal // who said it first
	warnings []*warning          // those of nodes, in the order in which they came
	timer    *time.Timer         // until those that are new are told; nil if there are none
}

// warning is a warning and the nodes in whose evaluation it came.
type warning struct {
	text  string
	nodes []string // of which it is not told yet
	told  []string
}

// together is how long a warning of a node waits for equal ones of others. Nodes that
// are done are deployed meanwhile.
var together = 500 * time.Millisecond

// first reports whether no other process has said this.
func (s *said) first(j *journal, text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[string]*journal{}
	}
	if s.by[text] == nil {
		s.by[text] = j
	}
	return s.by[text] == j
}

// tell logs what a process says, unless another has said it: at once, or soon if it
// is a warning of a node's, and of other nodes in the end.
func (s *said) tell(j *journal, level zerolog.Level, node, text string) {
	switch {
	case !s.first(j, node+"\x00"+text):
	case node == "":
		s.log.WithLevel(level).Msg(text)
	case level == zerolog.WarnLevel:
		s.remember(node, text)
	default:
		s.log.WithLevel(level).Str("node", node).Msg(text)
	}
}

// remember keeps a warning of a node, each once.
func (s *said) remember(node, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.warnings, func(w *warning) bool { return w.text == text })
	if i < 0 {
		i = len(s.warnings)
		s.warnings = append(s.warnings, &warning{text: text})
		if s.timer == nil {
			s.timer = time.AfterFunc(together, func() {
				s.warn(untold)
			})
		}
	}
	if w := s.warnings[i]; !slices.Contains(w.nodes, node) && !slices.Contains(w.told, node) {
		w.nodes = append(w.nodes, node)
	}
}

// untold is a warning that was told of no node.
func untold(w *warning) bool { return len(w.told) == 0 }

// left is one that comes from nodes it was not told of.
func left(w *warning) bool { return len(w.nodes) > 0 }

// warn logs warnings of nodes, equal ones together.
func (s *said) warn(which func(*warning) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	for _, w := range s.warnings {
		if !which(w) {
			continue
		}
		slices.Sort(w.nodes)
		entry := s.log.Warn().Strs("nodes", w.nodes)
		if len(w.nodes) == 1 {
			entry = entry.Str("node", w.nodes[0])
		}
		entry.Msg(w.text)
		w.nodes, w.told = nil, append(w.told, w.nodes...)
	}
}
