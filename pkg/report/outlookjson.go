package report

import (
	"io"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// The form is documented in docs/json.md.

type outlookJSON struct {
	Node   string `json:"node"`
	Goal   string `json:"goal"`
	Status string `json:"status"` // changed, same, failed, skipped or cancelled
	Step   string `json:"step,omitempty"`
	Error  string `json:"error,omitempty"`

	Same *bool `json:"same"` // null: the goal is about no system, or the host was not asked
	systemsJSON
	Units    *unitsJSON     `json:"units"` // null: not known, or the same system
	Keys     []keyAheadJSON `json:"keys"`
	KeyUnits []jobJSON      `json:"keyUnits"`
	Reboots  bool           `json:"reboots"` // the host is rebooted
	Foreign  []foreignJSON  `json:"foreign"`
	Seconds  float64        `json:"seconds"`
}

type unitsJSON struct {
	Stop    []string `json:"stop"`
	Restart []string `json:"restart"`
	Reload  []string `json:"reload"`
	Start   []string `json:"start"`
	Keep    []string `json:"keep"`
}

type keyAheadJSON struct {
	Name    string   `json:"name"`
	Path    string   `json:"path"`
	Change  string   `json:"change"` // changed, mended, unchanged or skipped
	New     bool     `json:"new"`
	Differs []string `json:"differs"`
	Note    string   `json:"note,omitempty"`
}

// jobJSON is what is due to a unit of which a key changes.
type jobJSON struct {
	Name string   `json:"name"`
	Job  string   `json:"job"`  // restart or reload
	Keys []string `json:"keys"` // none: an earlier run had left it to do
}

type foreignJSON struct {
	Path  string `json:"path"`
	Runs  bool   `json:"runs"`
	Boots bool   `json:"boots"`
}

// OutlookJSON prints what would be done as one JSON document.
func OutlookJSON(out io.Writer, results []event.Result) error {
	list := make([]outlookJSON, 0, len(results))
	for _, r := range results {
		item := outlookJSON{Node: r.Node, Goal: string(r.Goal), Status: string(r.Status), Step: string(r.Step), Seconds: seconds(r.Elapsed),
			systemsJSON: noSystems(), Keys: []keyAheadJSON{}, KeyUnits: []jobJSON{}, Foreign: []foreignJSON{}}
		if r.Err != nil {
			item.Error = r.Err.Error()
		}
		if r.Outlook != nil {
			item.fill(r.Outlook)
		}
		list = append(list, item)
	}
	return write(out, struct {
		Version int           `json:"version"`
		Results []outlookJSON `json:"results"`
	}{DocumentVersion, list})
}

func (item *outlookJSON) fill(o *plan.Outlook) {
	item.Status = "same"
	if o.Changes() {
		item.Status = "changed"
	}
	item.Current, item.Next, item.Copy = asJSON(o.Runs), asJSON(o.Boots), copyAsJSON(o.Copy)
	if o.Brings != "" {
		same := o.Same
		item.Same, item.Wanted = &same, &systemJSON{Path: o.Brings, NixOS: o.New.NixOS(), Kernel: o.New.Kernel()}
	}
	switch old := item.Current; {
	case o.Packages == nil && o.Brings != "" && o.Brings == o.Old().Path:
		item.Packages = inJSON(closure.Diff{})
	case o.Packages != nil:
		if o.Old().Path == o.Boots.Path {
			old = item.Next
		}
		item.compared(o.Packages, old)
	}
	if u := o.Units; u != nil {
		item.Units = &unitsJSON{some(u.Stop), some(u.Restart), some(u.Reload), some(u.Start), some(u.Keep)}
	}
	for _, k := range o.Keys {
		item.Keys = append(item.Keys, keyAheadJSON{k.Name, k.Path, string(k.Change), k.New, some(k.Differs), k.Note})
	}
	for _, job := range o.Jobs {
		item.KeyUnits = append(item.KeyUnits, jobJSON{job.Unit, job.What(), some(job.Keys)})
	}
	item.Reboots, item.Reboot = o.Reboots, some(o.DueParts)
	for _, f := range o.Foreign {
		item.Foreign = append(item.Foreign, foreignJSON(f))
	}
	item.Unknown = append(item.Unknown, o.Unknown...)
}
