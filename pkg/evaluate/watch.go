package evaluate

import (
	"fmt"

	"github.com/colmena-go/colmena-go/pkg/nixeval"
)

// TooLarge is the error of a node, or with "" of the hive, whose evaluation needs more
// memory than it may take. It is an [nixeval.ErrMemory].
type TooLarge struct {
	Node  string
	Took  int64 // bytes, when it was ended; 0 if that is not known
	Limit int64 // bytes, of all evaluations together
}

func (t *TooLarge) Error() string {
	what, took := "the hive", "more"
	if t.Node != "" {
		what = fmt.Sprintf("node %q", t.Node)
	}
	if t.Took > 0 {
		took = Size(t.Took)
	}
	return fmt.Sprintf("%s needs too much memory to be evaluated: it took %s on its own, and the limit for all evaluations together is %s; --eval-memory SIZE sets another limit",
		what, took, Size(t.Limit))
}

// Is makes errors.Is(err, nixeval.ErrMemory) true.
func (t *TooLarge) Is(target error) bool { return target == nixeval.ErrMemory }

// Size is a number of bytes as --eval-memory takes it.
func Size(bytes int64) string {
	if bytes < 1<<30 {
		return fmt.Sprintf("%dM", bytes>>20)
	}
	return fmt.Sprintf("%.1fG", float64(bytes)/(1<<30))
}

// nearly is the part of the limit at which a process of several is ended, and beyond
// which the collector of none goes: what it does not know of comes to that.
const nearly = 0.9

// most is what the collector of one process may take; 0 is unlimited.
func (l Limits) most() int64 { return int64(nearly * float64(l.Memory)) }

// watch keeps the memory of all processes together below the limit. The largest is
// ended, one at a time: what it takes is free only when it is gone.
func (e *Evaluation) watch() {
	if e.limits.Memory <= 0 {
		return
	}
	texts := residentMemory(e.texts.process())
	sum := texts
	var largest *process
	for _, p := range e.processes {
		if p.stopped {
			return
		}
		p.now = residentMemory(p.pid)
		p.peak = max(p.peak, p.now)
		if sum += p.now; largest == nil || p.now > largest.now || p.now == largest.now && p.id > largest.id {
			largest = p
		}
	}
	switch alone := len(e.processes) == 1 && texts == 0; {
	case largest == nil, sum < e.limits.most():
	case !alone:
		e.crowded = texts > 0
		e.makeRoom(largest, sum)
	case sum >= e.limits.Memory: // Nix' own collector goes as far as it can
		largest.large = true
		largest.stop()
	}
}

// makeRoom ends a process. The node it has at hand is evaluated by itself, where that
// is what takes so much; where it is all before it, others go on with those that are left.
func (e *Evaluation) makeRoom(p *process, sum int64) {
	if p.any {
		e.schedule.workers = max(1, e.schedule.workers-1)
		e.share = e.limits.Memory / int64(e.schedule.workers)
	}
	p.large, p.beside = !p.any, true
	e.log.Debug().Int("workers", e.schedule.workers).Int64("bytes", sum).Msg("ending an evaluation, as memory runs short")
	p.stop()
}

// tooLarge deals with a process that took too much for the node at hand: that is
// evaluated again by itself, or, if it was, or had all the memory, cannot be. An error is one of the
// whole evaluation.
func (e *Evaluation) tooLarge(p *process, at string) *TooLarge {
	if at == "" && e.hive == nil || at != "" && !p.any && !p.beside {
		return &TooLarge{Node: at, Took: p.peak, Limit: e.limits.Memory}
	}
	e.schedule.ended(p.id, at)
	if at != "" && !e.told[at] {
		e.schedule.alone = append(e.schedule.alone, at)
	}
	return nil
}
