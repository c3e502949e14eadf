package evaluate

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/nixeval"
)

func TestWhereMemoryRunsShortOneProcessIsEndedAtATime(t *testing.T) {
	var ended []int
	idle := idle(t)
	e := &Evaluation{limits: Limits{Memory: 1}, schedule: newSchedule(3, 1), processes: map[int]*process{}, log: zerolog.Nop()}
	for id := range 3 {
		e.processes[id] = &process{id: id, pid: idle, any: true, end: func(error) { ended = append(ended, id) }}
	}
	e.watch()
	e.watch() // it is not gone yet
	if len(ended) != 1 || ended[0] != 2 || e.schedule.workers != 2 {
		t.Errorf("%v were ended, %d workers", ended, e.schedule.workers)
	}
	delete(e.processes, 2)
	e.watch()
	if len(ended) != 2 || ended[1] != 1 || e.schedule.workers != 1 {
		t.Errorf("%v were ended, %d workers", ended, e.schedule.workers)
	}
	delete(e.processes, 1)
	e.watch() // nobody is left to make room for it
	if len(ended) != 3 || !e.processes[0].large || e.processes[0].beside {
		t.Errorf("%v were ended", ended)
	}
}

func TestTheLargestProcessMakesRoomEvenForTexts(t *testing.T) {
	idle := idle(t)
	for _, c := range []struct {
		pids  []int
		texts int
		ended int
	}{
		{[]int{os.Getpid(), idle}, 0, 0},
		{[]int{idle, os.Getpid()}, 0, 1},
		{[]int{idle}, os.Getpid(), 0},
	} {
		ended := -1
		e := &Evaluation{limits: Limits{Memory: 1}, schedule: newSchedule(3, 1), processes: map[int]*process{}, log: zerolog.Nop()}
		e.texts.pid.Store(int64(c.texts))
		for id, pid := range c.pids {
			e.processes[id] = &process{id: id, pid: pid, end: func(error) { ended = id }}
		}
		e.watch()
		if ended != c.ended || !e.processes[ended].beside || e.crowded != (c.texts != 0) {
			t.Errorf("%+v: %d was ended", c, ended)
		}
	}
}

// idle is a process that waits until the test is over.
func idle(t *testing.T) (pid int) {
	t.Helper()
	cmd := exec.Command("cat")
	input, err := cmd.StdinPipe() // which ends with us, if we are killed
	output, err2 := cmd.StdoutPipe()
	if err = errors.Join(err, err2); err == nil {
		err = cmd.Start()
	}
	if err == nil { // until it is loaded, it takes more and more
		_, err = io.WriteString(input, ".")
	}
	if err == nil {
		_, err = output.Read(make([]byte, 1))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { input.Close(); cmd.Wait() })
	return cmd.Process.Pid
}

// Two processes that take as much as they do now and no more.
func TestAProcessIsEndedOnlyWhenNineTenthsAreTaken(t *testing.T) {
	idle := idle(t)
	self := os.Getpid()
	for percent, want := range map[int64]int{300: 0, 30: 1} {
		ended := 0
		e := &Evaluation{schedule: newSchedule(2, 1), processes: map[int]*process{}, log: zerolog.Nop()}
		for id, pid := range []int{self, idle} {
			e.processes[id] = &process{id: id, pid: pid, any: true, end: func(error) { ended++ }}
			e.limits.Memory += residentMemory(pid) * percent / 100
		}
		e.watch()
		if ended != want || e.schedule.workers != 2-want {
			t.Errorf("with %d %% of what is taken: %d ended, %d workers", percent, ended, e.schedule.workers)
		}
		if alone := e.limits.Memory; want == 1 && e.share != alone {
			t.Errorf("the one that is left has %d of %d bytes", e.share, alone)
		}
	}
}

func TestWhereNodesNeedMuchMemoryThereAreFewerProcessesWithMoreEach(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct{ memory, need, workers, share int64 }{
		{12 * gib, 1 * gib, 4, 3 * gib},
		{12 * gib, 4 * gib, 2, 6 * gib},
		{12 * gib, 90 * gib, 1, 12 * gib}, // it is tried all the same
		{12 * gib, 0, 4, 3 * gib},         // not known
	} {
		e := &Evaluation{limits: Limits{Memory: c.memory}, schedule: newSchedule(4, 1), share: c.memory / 4, log: zerolog.Nop()}
		e.fewer(c.need)
		if int64(e.schedule.workers) != c.workers || e.share != c.share {
			t.Errorf("%d bytes a node: %d processes of %d bytes, want %d of %d", c.need, e.schedule.workers, e.share, c.workers, c.share)
		}
	}
}

func TestTheCollectorBeginsWithinTheShare(t *testing.T) {
	for share, want := range map[int64]int64{0: bestHeap, 100 << 20: 60 << 20, 64 << 30: bestHeap} {
		if got := (&Evaluation{share: share}).heap(); got != want {
			t.Errorf("of a share of %d bytes: %d, want %d", share, got, want)
		}
	}
	d := &double{names: all(2)}
	if _, e := d.outcome(t, Limits{Workers: 2, Memory: 1000}); e.Err() != nil || d.parts[0].Heap != 300 {
		t.Errorf("%v; the process was given %d bytes", e.Err(), d.parts[0].Heap)
	}
}

func TestWhatNobodyLimitsIsFound(t *testing.T) {
	l := Limits{}.found()
	if l.Workers < 1 || l.PerNodes != mostNodes || l.Memory < 1<<20 || l.Memory > int64(float64(freeMemory())*0.9) {
		t.Errorf("%+v", l)
	}
	if set := (Limits{1, 2, 3}); set.found() != set {
		t.Errorf("%+v", set.found())
	}
}

func TestAnEvaluationYieldsToBuildsAndIsEndedBeforeUs(t *testing.T) {
	idle := idle(t)
	e := &Evaluation{processes: map[int]*process{7: {id: 7}}}
	if err := e.handle(t.Context(), message{id: 7, kind: started, pid: idle}); err != nil {
		t.Fatal(err)
	}
	if got := e.processes[7].pid; got != idle {
		t.Errorf("its memory is looked up as %d's", got)
	}
	score, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", idle))
	if err != nil || strings.TrimSpace(string(score)) != "500" {
		t.Errorf("%q, %v", score, err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", idle))
	if fields := strings.Fields(string(stat)); err != nil || len(fields) < 19 || fields[18] != "3" {
		t.Errorf("its priority is not below that of builds: %s, %v", stat, err)
	}
}

// After a kill, what is left is evaluated by one process, which may take all.
func TestAfterAKillOneProcessHasAllTheMemory(t *testing.T) {
	d := &double{names: all(6), wrong: map[string]error{"n03": nixeval.ErrKilled}}
	_, e := d.outcome(t, Limits{Workers: 2, Memory: 1000})
	for i, part := range d.parts {
		if want := map[bool]int64{true: 300, false: 600}[i == 0]; part.Heap != want {
			t.Errorf("process %d was given %d bytes, want %d", i, part.Heap, want)
		}
	}
	if e.schedule.workers != 1 || len(d.parts) != 3 {
		t.Errorf("%d workers, %d processes", e.schedule.workers, len(d.parts))
	}
}
