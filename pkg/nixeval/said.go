package nixeval

import (
	"slices"
	"sync"

	"github.com/rs/zerolog"
)

// said is what the processes of one evaluation have said. Each evaluates the hive,
// and what that says is told once.
type said struct {
	log zerolog.Logger

	mu       sync.Mutex
	by       map[string]*journal // who said it first
	warnings []warning           // those of nodes, in the order in which they came
}

// warning is a warning and the nodes in whose evaluation it came.
type warning struct {
	text  string
	nodes []string
}

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

// tell logs what a process says, unless another has said it: at once, or in the end
// if it is a warning of a node's.
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
	for i, w := range s.warnings {
		if w.text != text {
			continue
		}
		if !slices.Contains(w.nodes, node) {
			s.warnings[i].nodes = append(w.nodes, node)
		}
		return
	}
	s.warnings = append(s.warnings, warning{text, []string{node}})
}

// warn logs the warnings of nodes, equal ones together.
func (s *said) warn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.warnings {
		slices.Sort(w.nodes)
		entry := s.log.Warn().Strs("nodes", w.nodes)
		if len(w.nodes) == 1 {
			entry = entry.Str("node", w.nodes[0])
		}
		entry.Msg(w.text)
	}
	s.warnings = nil
}
