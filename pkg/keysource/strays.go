package keysource

import (
	"sync"

	"github.com/colmena-go/colmena-go/pkg/child"
)

// strays are what failed commands may have left running in sessions of their own.
// Other commands may use that, as all share the agent that the first gpg starts,
// so it is ended when none runs.
type strays struct {
	mu      sync.Mutex
	running int // commands
	end     []func()
}

// begin comes before a command starts.
func (s *strays) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running++
}

// leave has all ended that has the mark, before the last command's done returns.
func (s *strays) leave(mark child.Mark, forget func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end = append(s.end, func() {
		mark.Kill()
		forget()
	})
}

// done comes after each begin. No command starts while strays are being ended.
func (s *strays) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running--; s.running > 0 {
		return
	}
	for _, end := range s.end {
		end()
	}
	s.end = nil
}
