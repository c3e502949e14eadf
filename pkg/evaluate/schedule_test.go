package evaluate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// all are some nodes, by number.
func all(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("n%02d", i)
	}
	return names
}

var dear = costs{start: 150 * time.Millisecond, first: 1200 * time.Millisecond, each: 700 * time.Millisecond}

func TestAProcessThatIsFreeTakesTheSecondHalfOfTheBusiest(t *testing.T) {
	s := newSchedule(2, 64)
	first := s.add(nil, false)
	if _, nodes := s.another(dear); nodes != nil {
		t.Errorf("%q were begun before any was known", nodes)
	}
	s.selected(first, all(20))
	s.begun(first, "n00")
	id, nodes := s.another(dear)
	if want := all(20)[11:]; !slices.Equal(nodes, want) {
		t.Fatalf("%q, want %q", nodes, want)
	}
	if _, more := s.another(dear); more != nil {
		t.Errorf("a third process got %q", more)
	}
	// It is ended where the nodes of the other begin.
	for i, node := range all(11) {
		s.begun(first, node)
		own, end := s.done(first, node)
		if !own || end != (i == 10) {
			t.Errorf("%s: own %t, end %t", node, own, end)
		}
	}
	s.ended(first)
	// And the one that is free helps the other.
	s.begun(id, "n11")
	if _, nodes := s.another(dear); strings.Join(nodes, " ") != "n16 n17 n18 n19" {
		t.Errorf("%q", nodes)
	}
}

func TestLightNodesAreNotWorthAnotherProcess(t *testing.T) {
	light := costs{start: 100 * time.Millisecond, first: 60 * time.Millisecond, each: 30 * time.Millisecond}
	for _, c := range []struct {
		costs costs
		nodes int
		want  bool
	}{{light, 8, false}, {light, 60, true}, {dear, 2, false}, {dear, 6, true}, {costs{}, 60, false}} {
		s := newSchedule(2, 64)
		s.selected(s.add(nil, false), all(c.nodes))
		if _, nodes := s.another(c.costs); (nodes != nil) != c.want {
			t.Errorf("%d nodes at %v: %q", c.nodes, c.costs, nodes)
		}
	}
}

func TestNoProcessGetsMoreNodesThanItMay(t *testing.T) {
	s := newSchedule(3, 4)
	s.selected(s.add(nil, false), all(20))
	for range 20 {
		if _, nodes := s.another(dear); len(nodes) > 4 {
			t.Errorf("%q", nodes)
		}
	}
	if len(s.runs) != 3 || len(s.queue) != 8 {
		t.Errorf("%d processes, %d nodes left", len(s.runs), len(s.queue))
	}
}

func TestWhatAKilledProcessHadIsDoneByOthersAndThatNodeByItself(t *testing.T) {
	s := newSchedule(2, 64)
	first := s.add(nil, false)
	s.selected(first, all(3))
	s.begun(first, "n00")
	s.ended(first, "n00")
	s.alone = append(s.alone, "n00")
	id, nodes := s.another(dear)
	if strings.Join(nodes, " ") != "n01" && strings.Join(nodes, " ") != "n01 n02" {
		t.Errorf("%q", nodes)
	}
	for !s.over() {
		for _, node := range nodes {
			s.done(id, node)
		}
		s.ended(id)
		if id, nodes = s.another(dear); nodes == nil {
			break
		}
		if slices.Contains(nodes, "n00") {
			if _, more := s.another(dear); more != nil || len(nodes) > 1 || len(s.runs) > 1 {
				t.Errorf("n00 is beside others")
			}
		}
	}
	if !s.over() {
		t.Error("not all was done")
	}
}

// The node at hand stays its process'; the others go on first of all.
func TestAProcessThatGivesBackKeepsTheNodeAtHand(t *testing.T) {
	s := newSchedule(1, 3)
	id := s.add(nil, false)
	s.selected(id, all(5))
	s.begun(id, "n00")
	s.giveBack(id)
	if got := strings.Join(s.runs[id].left, " ") + " | " + strings.Join(s.queue, " "); got != "n00 | n01 n02 n03 n04" {
		t.Error(got)
	}
	if own, end := s.done(id, "n00"); !own || !end {
		t.Errorf("own %t, end %t", own, end)
	}
}

func TestANodeThatIsByItselfWaitsForTheOthers(t *testing.T) {
	s := newSchedule(2, 64)
	id := s.add([]string{"n01"}, false)
	s.alone = []string{"n00"}
	if _, nodes := s.another(dear); nodes != nil {
		t.Errorf("%q is beside n01", nodes)
	}
	s.ended(id)
	s.queue = []string{"n01"}
	first, nodes := s.another(dear)
	if strings.Join(nodes, "") != "n01" {
		t.Errorf("first comes %q", nodes)
	}
	s.done(first, "n01")
	s.ended(first)
	id, nodes = s.another(dear)
	if strings.Join(nodes, "") != "n00" {
		t.Fatalf("then comes %q", nodes)
	}
	s.queue = []string{"n02"}
	if _, more := s.another(dear); more != nil {
		t.Errorf("%q is beside n00", more)
	}
	s.done(id, "n00")
	s.ended(id)
	if _, more := s.another(dear); strings.Join(more, "") != "n02" {
		t.Errorf("at last comes %q", more)
	}
}

// Whatever happens to processes, each node is done once.
func TestEveryNodeIsDoneOnce(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := newSchedule(1+r.IntN(4), 1+r.IntN(9))
		count := 1 + r.IntN(40)
		times := map[string]int{}
		real := map[int][]string{} // what a process evaluates, whatever the schedule thinks by now
		first := s.add(nil, false)
		s.selected(first, all(count))
		real[first] = all(count)[:min(count, s.most)]
		for steps := 0; !s.over(); steps++ {
			if steps > 10000 {
				t.Fatalf("seed %d: it never ends: %+v", seed, s)
			}
			if id, nodes := s.another(dear); nodes != nil {
				real[id] = slices.Clone(nodes)
			}
			if len(s.runs) > s.workers {
				t.Fatalf("seed %d: %d processes of %d", seed, len(s.runs), s.workers)
			}
			var ids []int
			for id := range s.runs {
				ids = append(ids, id)
			}
			slices.Sort(ids)
			id := ids[r.IntN(len(ids))]
			switch roll := r.IntN(20); {
			case roll == 0 && s.atHand(id) != "": // killed, or out of its share
				s.ended(id)
			case roll == 1 && s.atHand(id) != "":
				s.giveBack(id)
				s.ended(id)
			case len(real[id]) == 0:
				if left := s.atHand(id); left != "" {
					t.Fatalf("seed %d: process %d is over, and %s is its", seed, id, left)
				}
				s.ended(id)
			default:
				node := real[id][0]
				s.begun(id, node)
				if roll > 10 {
					continue
				}
				real[id] = real[id][1:]
				own, end := s.done(id, node)
				if own {
					times[node]++
				}
				if end {
					s.ended(id)
				}
			}
		}
		for _, node := range all(count) {
			if times[node] != 1 {
				t.Fatalf("seed %d: %s was done %d times", seed, node, times[node])
			}
		}
	}
}

func TestWhatIsScatteredIsAllThereTheLastFirst(t *testing.T) {
	for n := range 40 {
		s := newSchedule(1, 100)
		s.queue = all(n)
		s.scatter()
		if n > 0 && s.queue[0] != all(n)[n-1] {
			t.Errorf("%d: %q", n, s.queue)
		}
		if n > 8 {
			if apart := slices.Index(all(n), s.queue[1]); apart == n-2 || apart < 1 {
				t.Errorf("%d: %q", n, s.queue)
			}
		}
		slices.Sort(s.queue)
		if !slices.Equal(s.queue, all(n)) {
			t.Errorf("%d: %q", n, s.queue)
		}
	}
}
