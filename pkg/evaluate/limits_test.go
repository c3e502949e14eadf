package evaluate

import (
	"os"
	"testing"

	"github.com/rs/zerolog"
)

func TestWhereMemoryRunsShortOneProcessIsEndedAtATime(t *testing.T) {
	var ended []int
	e := &Evaluation{limits: Limits{Memory: 1}, schedule: newSchedule(3, 1), processes: map[int]*process{}, log: zerolog.Nop()}
	for id := range 3 {
		e.processes[id] = &process{id: id, pid: os.Getpid(), end: func(error) { ended = append(ended, id) }}
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
	e.watch() // the last one goes on, whatever it takes
	if len(ended) != 2 {
		t.Errorf("%v were ended", ended)
	}
}
