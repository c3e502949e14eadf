package report

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/record"
)

// The forms here are documented in docs/json.md and stay as they are: fields
// may be added.

// DocumentVersion is that of every JSON document of ours. Fields may be added without
// another one.
const DocumentVersion = 1

type resultsJSON struct {
	Version int          `json:"version"`
	Command string       `json:"command"`
	Goal    string       `json:"goal"`
	Begin   string       `json:"begin"`
	Seconds float64      `json:"seconds"`
	Results []resultJSON `json:"results"`
}

type resultJSON struct {
	Node         string        `json:"node"`
	Goal         string        `json:"goal"`
	Status       string        `json:"status"` // succeeded, failed, skipped or cancelled
	Step         string        `json:"step,omitempty"`
	Error        string        `json:"error,omitempty"`
	Toplevel     string        `json:"toplevel,omitempty"`
	Before       string        `json:"before,omitempty"`   // the system that the host ran when it was asked
	Packages     *packagesJSON `json:"packages,omitempty"` // that differ between these two
	RebootNeeded bool          `json:"rebootNeeded"`
	Rebooted     bool          `json:"rebooted"`
	Keys         []keyJSON     `json:"keys"`
	Units        []unitJSON    `json:"units,omitempty"`      // of which keys changed
	Output       []string      `json:"output,omitempty"`     // the last lines of the step that failed
	ExitStatus   *int          `json:"exitStatus,omitempty"` // of the command of exec
	Seconds      float64       `json:"seconds"`
	Bytes        int64         `json:"bytes"`  // that were copied
	Builds       int64         `json:"builds"` // derivations that were built
	Steps        []stepJSON    `json:"steps"`
}

type keyJSON struct {
	Name   string `json:"name"`
	Path   string `json:"path"`
	Change string `json:"change"` // changed, mended, unchanged or skipped
	Note   string `json:"note,omitempty"`
}

// unitJSON is a unit of which a key changed.
type unitJSON struct {
	Name    string   `json:"name"`
	Job     string   `json:"job"`     // restart or reload
	Outcome string   `json:"outcome"` // done, left or failed
	Keys    []string `json:"keys"`    // none: an earlier run had left it to do
	Note    string   `json:"note,omitempty"`
}

// JSON prints the results of a run as one JSON document; the record tells of their steps.
func JSON(out io.Writer, r *record.Record, results []event.Result, now time.Time) error {
	list := make([]resultJSON, 0, len(results))
	for _, result := range results {
		list = append(list, jsonOf(result, r.Node(result.Node), now))
	}
	return write(out, resultsJSON{Version: DocumentVersion, Command: r.Command, Goal: string(r.Goal),
		Begin: stamp(r.Begin), Seconds: seconds(now.Sub(r.Begin)), Results: list})
}

// jsonOf is a node's result; n, which may be nil, has its steps.
func jsonOf(r event.Result, n *record.Node, now time.Time) resultJSON {
	item := resultJSON{
		Node: r.Node, Goal: string(r.Goal), Status: string(r.Status), Step: string(r.Step),
		Toplevel: r.Toplevel, Before: r.Before, RebootNeeded: r.RebootNeeded, Rebooted: r.Rebooted, Keys: []keyJSON{},
		Output: r.Tail, ExitStatus: r.Exit, Seconds: seconds(r.Elapsed), Steps: stepsJSON(n, now),
	}
	for _, s := range item.Steps {
		item.Bytes += s.Bytes
		item.Builds += s.Builds
	}
	if r.Packages != nil {
		item.Packages = inJSON(*r.Packages)
	}
	if r.Err != nil {
		item.Error = r.Err.Error()
	}
	for _, key := range r.Keys {
		item.Keys = append(item.Keys, keyJSON{key.Name, key.Path, string(key.Change), key.Note})
	}
	for _, unit := range r.Units {
		item.Units = append(item.Units, unitJSON{unit.Unit, unit.What(), string(unit.Outcome), some(unit.Keys), unit.Note})
	}
	return item
}

type nodeJSON struct {
	Name       string   `json:"name"`
	TargetHost *string  `json:"targetHost"` // null: no host to deploy to
	TargetPort *int     `json:"targetPort"`
	TargetUser *string  `json:"targetUser"`
	Tags       []string `json:"tags"`
	Keys       []string `json:"keys"` // attribute names

	BuildOnTarget          bool `json:"buildOnTarget"`
	ReplaceUnknownProfiles bool `json:"replaceUnknownProfiles"`
	AllowLocalDeployment   bool `json:"allowLocalDeployment"`

	Error string `json:"error,omitempty"`
}

// NodesJSON prints a hive's nodes as one JSON document, those that cannot be used
// with the reason.
func NodesJSON(out io.Writer, meta hive.Meta, sound []hive.Node, broken []hive.Broken) error {
	list := make([]nodeJSON, 0, len(sound)+len(broken))
	for _, node := range broken {
		list = append(list, nodeJSON{Name: node.Name, Tags: []string{}, Keys: []string{}, Error: node.Err.Error()})
	}
	for _, node := range sound {
		item := nodeJSON{Name: node.Name, Tags: append([]string{}, node.Tags...), Keys: []string{},
			BuildOnTarget: node.BuildOnTarget, ReplaceUnknownProfiles: node.ReplaceUnknownProfiles, AllowLocalDeployment: node.AllowLocalDeployment}
		if t := node.Target; t != nil {
			item.TargetHost = &t.Host
			if t.Port != 0 {
				item.TargetPort = &t.Port
			}
			if t.User != "" {
				item.TargetUser = &t.User
			}
		}
		for _, key := range node.Keys {
			item.Keys = append(item.Keys, key.Attr)
		}
		list = append(list, item)
	}
	slices.SortFunc(list, func(a, b nodeJSON) int { return strings.Compare(a.Name, b.Name) })
	return write(out, struct {
		Version     int        `json:"version"`
		Name        string     `json:"name"`
		Description string     `json:"description"`
		Nodes       []nodeJSON `json:"nodes"`
	}{DocumentVersion, meta.Name, meta.Description, list})
}

func write(out io.Writer, document any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(document); err != nil {
		return err
	}
	_, err := io.WriteString(out, escapedJSON(text.String()))
	return err
}
