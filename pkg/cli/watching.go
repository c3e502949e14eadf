package cli

import (
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/nixbuild"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// noteOfBuilds tells what is worth telling of all builds; where a live view has it, the log alone.
func (d *deployment) noteOfBuilds(text string) {
	if d.report.Live() {
		d.tool.Log.Debug().Msg(text)
		return
	}
	d.note(text)
}

// watchBuilds makes events of how far builds are.
func (d *deployment) watchBuilds() func(nixbuild.Building) {
	told := map[string]string{} // by node
	return func(b nixbuild.Building) {
		now := time.Now()
		builds := &event.Builds{Done: b.Done, Failed: b.Failed, Expected: b.Expected}
		for _, work := range b.Running {
			builds.Running = append(builds.Running, event.Work(work))
		}
		d.report.Emit(event.Event{Time: now, Step: plan.Build, Kind: event.Building, Builds: builds})
		for node := range told {
			if b.Nodes[node] == "" {
				b.Nodes[node] = ""
			}
		}
		for node, at := range b.Nodes {
			if told[node] != at {
				told[node] = at
				d.report.Emit(event.Event{Time: now, Node: node, Step: plan.Build, Kind: event.Progress, Text: at})
			}
		}
	}
}

// working makes events of which keyCommands nodes wait for.
func (d *deployment) working(node, what string) {
	d.report.Emit(event.Event{Time: time.Now(), Node: node, Step: plan.Resolve, Kind: event.Progress, Text: what})
}
