package evaluate

import (
	"slices"
	"time"
)

// schedule says which process evaluates which nodes. It is pure: it is told what
// happens, and never waits.
//
// A process evaluates its nodes in turn and cannot be given others, but it can be
// ended after any of them, and nothing is lost. So each gets all that may be its
// own, and one that is free takes over the second half of what another has before
// it.
type schedule struct {
	workers int      // processes at a time, at least 1
	most    int      // nodes of one process, at least 1
	queue   []string // nobody's
	alone   []string // each for a process that runs by itself
	runs    map[int]*run
	next    int // the id of the next process
}

// run is a process that is running.
type run struct {
	left []string // nodes it has before it, in its order; the first may be at hand
	at   bool     // the first is at hand
	// ends: it would go on to nodes that are no more its own.
	ends  bool
	alone bool
}

// costs are what is known of how long things take; 0 is unknown.
type costs struct {
	start time.Duration // of a process, until it begins its first node
	first time.Duration // of the first node of a process
	each  time.Duration // of any other
}

// worthwhile: it takes this much to be worth another process.
const worthwhile = 100 * time.Millisecond

func newSchedule(workers, most int) *schedule {
	return &schedule{workers: max(1, workers), most: max(1, most), runs: map[int]*run{}}
}

// add starts the books of a process that has these nodes before it.
func (s *schedule) add(nodes []string, alone bool) (id int) {
	id = s.next
	s.next++
	s.runs[id] = &run{left: slices.Clone(nodes), alone: alone}
	return id
}

// selected gives the process that began without knowing its nodes the first of
// them, and nobody the others.
func (s *schedule) selected(id int, nodes []string) {
	mine := nodes[:min(len(nodes), s.most)]
	s.runs[id].left = slices.Clone(mine)
	s.queue = append(s.queue, nodes[len(mine):]...)
}

// another returns the nodes of a process to start now; none if there should be none.
func (s *schedule) another(c costs) (id int, nodes []string) {
	for _, r := range s.runs {
		if r.alone {
			return 0, nil
		}
	}
	free := s.workers - len(s.runs)
	switch {
	case free <= 0:
		return 0, nil
	case len(s.queue) > 0:
		n := min((len(s.queue)+free-1)/free, s.most)
		nodes, s.queue = s.queue[:n:n], s.queue[n:]
		return s.add(nodes, false), nodes
	case len(s.alone) > 0 && len(s.runs) == 0:
		nodes, s.alone = s.alone[:1:1], s.alone[1:]
		return s.add(nodes, true), nodes
	}
	busiest := s.busiest()
	if busiest == nil || !c.gain(busiest.waiting()) {
		return 0, nil
	}
	keep := len(busiest.left) - min(busiest.waiting()/2, s.most)
	nodes = slices.Clone(busiest.left[keep:])
	busiest.left, busiest.ends = busiest.left[:keep], true
	return s.add(nodes, false), nodes
}

// waiting is how many nodes nobody has begun.
func (r *run) waiting() int {
	if r.at {
		return len(r.left) - 1
	}
	return len(r.left)
}

// busiest is the process with most nodes that it has not begun.
func (s *schedule) busiest() (most *run) {
	for id := range s.next {
		if r := s.runs[id]; r != nil && (most == nil || r.waiting() > most.waiting()) {
			most = r
		}
	}
	return most
}

// gain reports whether another process that takes half of so many nodes is done
// before the one that has them would be.
func (c costs) gain(waiting int) bool {
	take := waiting / 2
	if take == 0 {
		return false
	}
	return c.start+c.first+time.Duration(take-1)*c.each+worthwhile < time.Duration(waiting)*c.each
}

// begun takes down that a process has a node at hand.
func (s *schedule) begun(id int, node string) {
	if r := s.runs[id]; r != nil && len(r.left) > 0 && r.left[0] == node {
		r.at = true
	}
}

// done takes down that a process has evaluated a node. It reports whether that was
// its own, and whether the process is to be ended, as it would go on to others'.
func (s *schedule) done(id int, node string) (own, end bool) {
	r := s.runs[id]
	if r == nil {
		return false, true
	}
	i := slices.Index(r.left, node)
	if i < 0 {
		return false, r.ends && len(r.left) == 0
	}
	r.left, r.at = slices.Delete(r.left, i, i+1), false
	return true, r.ends && len(r.left) == 0
}

// giveBack takes from a process what it has not begun; it is to be ended after the
// node at hand.
func (s *schedule) giveBack(id int) {
	r := s.runs[id]
	keep := len(r.left) - r.waiting()
	s.queue = append(slices.Clone(r.left[keep:]), s.queue...)
	r.left, r.ends = r.left[:keep], true
}

// ended closes the books of a process. Its nodes are nobody's again, but for those
// that are left out.
func (s *schedule) ended(id int, without ...string) {
	r := s.runs[id]
	delete(s.runs, id)
	left := slices.DeleteFunc(slices.Clone(r.left), func(node string) bool { return slices.Contains(without, node) })
	s.queue = append(left, s.queue...)
}

// scatter changes the order of what is nobody's, so that far ones follow each other,
// the last first.
func (s *schedule) scatter() {
	n := len(s.queue)
	step := max(1, n*5/8)
	for gcd(n, step) > 1 {
		step++
	}
	queue := make([]string, n)
	for i := range queue {
		queue[i] = s.queue[(n-1+i*step)%n]
	}
	s.queue = queue
}

func gcd(a, b int) int {
	if b == 0 {
		return a
	}
	return gcd(b, a%b)
}

// abandon leaves nothing to do but to wait for the processes.
func (s *schedule) abandon() {
	s.queue, s.alone = nil, nil
	for _, r := range s.runs {
		r.left, r.at = nil, false
	}
}

// atHand is the node that a process has begun, or would begin now; "" without one.
func (s *schedule) atHand(id int) string {
	if r := s.runs[id]; r != nil && len(r.left) > 0 {
		return r.left[0]
	}
	return ""
}

// over reports whether there is nothing left to do.
func (s *schedule) over() bool { return len(s.runs) == 0 && len(s.queue) == 0 && len(s.alone) == 0 }
