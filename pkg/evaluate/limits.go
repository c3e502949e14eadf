package evaluate

import (
	"runtime"
	"time"

	"github.com/colmena-go/colmena-go/pkg/nixeval"
)

// Limits are those of all processes of an evaluation together. Zero values leave
// them to what is found to be best.
type Limits struct {
	Workers  int   // processes at a time
	PerNodes int   // nodes of one process
	Memory   int64 // bytes
}

// mostNodes is how many nodes a process gets at once where nobody says. What
// Nix is asked for are arguments, so it cannot be all of a thousand.
const mostNodes = 64

// AnyNumber of nodes may be evaluated by one process.
const AnyNumber = 10000

// found fills in what was left to us.
func (l Limits) found() Limits {
	if l.Memory <= 0 {
		l.Memory = PartOfFree(ofFree)
	}
	if l.Workers <= 0 {
		l.Workers = runtime.NumCPU()
	}
	if l.PerNodes <= 0 {
		l.PerNodes = mostNodes
	}
	return l
}

// Nix's collector begins to work when this is full. With less it works all the time; with
// more, most of the time goes into memory that is touched for the first time (ten real
// nodes, 2.8: 15.7 s with Nix's own 384 MB, 13.3 s with 1 GiB, 8.9 s with 2 GiB, 11 s without any collection).
const bestHeap = 2 << 30

// heap is what a process of Nix begins with. What cannot be collected must have room
// as well, up to the share.
func (e *Evaluation) heap() int64 {
	if e.share == 0 {
		return bestHeap
	}
	return min(e.share*6/10, bestHeap)
}

// Alone is the room of a process that evaluates by itself.
func (l Limits) Alone() nixeval.Room {
	l = l.found()
	return nixeval.Room{Heap: min(l.Memory*6/10, bestHeap), Memory: l.Memory}
}

// lookAgain is how long what a process takes is taken for what it took before: a look
// costs more than telling of a light node. Nix takes a byte in a nanosecond at most, and
// may take half of the share unseen.
func (e *Evaluation) lookAgain(p *process) time.Duration {
	const longest = 100 * time.Millisecond
	if e.share == 0 {
		return longest
	}
	return min(longest, time.Duration(e.share/2-p.memory-p.growth))
}

// measure learns of a node that is done.
func (e *Evaluation) measure(p *process) {
	if took := time.Since(p.at); !p.at.IsZero() {
		switch {
		case !p.any:
			e.costs.first = average(e.costs.first, took)
		default:
			e.costs.each = average(e.costs.each, took)
		}
	}
	p.at = time.Time{}
	if p.any && time.Since(p.looked) < e.lookAgain(p) {
		return
	}
	now := residentMemory(p.pid)
	if p.any {
		p.growth = max(0, now-p.memory)
	} else {
		e.fewer(now)
	}
	p.any, p.memory, p.looked = true, now, time.Now()
}

// fewer has no more processes than can each hold a node, which took this much memory,
// without collecting all the time.
func (e *Evaluation) fewer(need int64) {
	if e.limits.Memory <= 0 || need <= 0 {
		return
	}
	if most := max(1, int(e.limits.Memory/(need*3/2))); most < e.schedule.workers {
		e.schedule.workers = most
		e.share = e.limits.Memory / int64(most)
		e.log.Debug().Int("processes", most).Int64("bytes", need).Msg("evaluating in fewer processes, as a node needs much memory")
	}
}

func average(before, now time.Duration) time.Duration {
	if before == 0 {
		return now
	}
	return (3*before + now) / 4
}
