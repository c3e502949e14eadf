package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/record"
)

// metric is one of the figures in docs/json.md, with a sample for each set of labels.
type metric struct {
	name, help string
	samples    []sample
}

type sample struct {
	labels []string // names and values in turn
	value  float64
}

func (m *metric) add(value float64, labels ...string) {
	m.samples = append(m.samples, sample{labels, value})
}

// Metrics writes the figures of a run that ended in Prometheus' text format, for the
// textfile collector.
func Metrics(out io.Writer, r *record.Record) error {
	var b strings.Builder
	for _, m := range append(runMetrics(r), nodeMetrics(r)...) {
		m.write(&b)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (m *metric) write(b *strings.Builder) {
	if len(m.samples) == 0 {
		return
	}
	name := "colmena_go_" + m.name
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %[1]s gauge\n", name, m.help)
	for _, s := range m.samples {
		b.WriteString(name)
		for i := 0; i < len(s.labels); i += 2 {
			fmt.Fprintf(b, `%s%s="%s"`, map[bool]string{true: "{", false: ","}[i == 0], s.labels[i], escapedLabel(s.labels[i+1]))
		}
		if len(s.labels) > 0 {
			b.WriteByte('}')
		}
		b.WriteString(" " + strconv.FormatFloat(s.value, 'f', -1, 64) + "\n")
	}
}

// escapedLabel is a value as it stands in quotes.
func escapedLabel(text string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(strings.ToValidUTF8(text, "�"))
}

// runMetrics are of the run as a whole.
func runMetrics(r *record.Record) []*metric {
	info := &metric{name: "run_info", help: "The last run: always 1."}
	info.add(1, "version", r.Version, "command", r.Command, "goal", string(r.Goal))
	success := &metric{name: "run_success", help: "Whether all of the last run went well."}
	success.add(number(r.Outcome == record.AllDone))
	end := &metric{name: "run_end_timestamp_seconds", help: "When the last run ended."}
	end.add(float64(r.End.UnixMilli()) / 1000)
	took := &metric{name: "run_duration_seconds", help: "How long the last run took."}
	took.add(seconds(r.End.Sub(r.Begin)))
	nodes := &metric{name: "run_nodes", help: "Nodes of the last run, by how they ended."}
	count := countOf(r.Results(r.End))
	for _, status := range endings {
		nodes.add(float64(count[status]), "status", string(status))
	}
	return []*metric{info, success, end, took, nodes}
}

// endings are those of nodes, in the order in which they are counted.
var endings = []event.Status{event.Succeeded, event.Failed, event.Skipped, event.Cancelled, left}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// nodeMetrics are of each node.
func nodeMetrics(r *record.Record) []*metric {
	success := &metric{name: "node_success", help: "Whether the node reached the goal, or had nothing to do."}
	took := &metric{name: "node_duration_seconds", help: "From the node's first step to its last."}
	step := &metric{name: "node_step_duration_seconds", help: "How long the node was in steps of this kind."}
	wait := &metric{name: "node_step_wait_seconds", help: "How long the node waited for a free slot before steps of this kind."}
	bytes := &metric{name: "node_copied_bytes", help: "What was copied to the node's host."}
	paths := &metric{name: "node_copied_paths", help: "Store paths that were copied to the node's host."}
	builds := &metric{name: "node_builds", help: "Derivations that were built for the node."}
	keys := &metric{name: "node_keys", help: "Keys of the node, by what became of them."}
	reboot := &metric{name: "node_reboot_needed", help: "Whether the node's system wants a reboot."}
	for i, result := range r.Results(r.End) {
		name := []string{"node", result.Node}
		success.add(number(done(result.Status)), name...)
		took.add(seconds(result.Elapsed), name...)
		sum := r.Nodes[i].Sum(r.End)
		for _, kind := range slices.Sorted(maps.Keys(sum.Took)) {
			step.add(seconds(sum.Took[kind]), append(name, "step", string(kind))...)
		}
		for _, kind := range slices.Sorted(maps.Keys(sum.Waited)) {
			wait.add(seconds(sum.Waited[kind]), append(name, "step", string(kind))...)
		}
		bytes.add(float64(sum.Bytes), name...)
		paths.add(float64(sum.Paths), name...)
		builds.add(float64(sum.Builds), name...)
		changes := event.KeyChanges(result.Keys)
		for _, change := range event.Changes {
			keys.add(float64(changes[change]), append(name, "change", string(change))...)
		}
		reboot.add(number(result.RebootNeeded), name...)
	}
	return []*metric{success, took, step, wait, bytes, paths, builds, keys, reboot}
}
