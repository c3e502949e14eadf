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

	System   *systemJSON    `json:"system"`   // null: the goal is about none
	Copy     *copyJSON      `json:"copy"`     // null: not known
	Packages *packagesJSON  `json:"packages"` // null: not known, or the same system
	Units    *unitsJSON     `json:"units"`    // null: not known, or the same system
	Keys     []keyAheadJSON `json:"keys"`
	Reboot   rebootJSON     `json:"reboot"`
	Foreign  []foreignJSON  `json:"foreign"`
	Unknown  []string       `json:"unknown"`
	Seconds  float64        `json:"seconds"`
}

type systemJSON struct {
	Runs      string `json:"runs"`
	Boots     string `json:"boots"`
	New       string `json:"new"`
	OldNixOS  string `json:"oldNixos"`
	NewNixOS  string `json:"newNixos"`
	Unchanged bool   `json:"unchanged"`
}

type copyJSON struct {
	Bytes int64 `json:"bytes"`
	Paths int   `json:"paths"`
}

type packagesJSON struct {
	Changed []packageJSON `json:"changed"`
	Added   []packageJSON `json:"added"`
	Removed []packageJSON `json:"removed"`
	Rebuilt int           `json:"rebuilt"`
}

type packageJSON struct {
	Name  string   `json:"name"`
	Old   []string `json:"old"`
	New   []string `json:"new"`
	Bytes int64    `json:"bytes"`
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

type rebootJSON struct {
	Now bool   `json:"now"`
	Due string `json:"due"`
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
			Keys: []keyAheadJSON{}, Foreign: []foreignJSON{}, Unknown: []string{}}
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
		Nodes   []outlookJSON `json:"nodes"`
	}{DocumentVersion, list})
}

func (item *outlookJSON) fill(o *plan.Outlook) {
	item.Status = "same"
	if o.Changes() {
		item.Status = "changed"
	}
	if o.Brings != "" {
		item.System = &systemJSON{o.Runs.Path, o.Boots.Path, o.Brings, o.Old().NixOS(), o.New.NixOS(), o.Same}
	}
	if o.Copy != nil {
		item.Copy = &copyJSON{o.Copy.Bytes, o.Copy.Paths}
	}
	if d := o.Packages; d != nil {
		item.Packages = &packagesJSON{packageList(d.Changed), packageList(d.Added), packageList(d.Removed), d.Rebuilt}
	}
	if u := o.Units; u != nil {
		item.Units = &unitsJSON{some(u.Stop), some(u.Restart), some(u.Reload), some(u.Start), some(u.Keep)}
	}
	for _, k := range o.Keys {
		item.Keys = append(item.Keys, keyAheadJSON{k.Name, k.Path, string(k.Change), k.New, some(k.Differs), k.Note})
	}
	item.Reboot = rebootJSON{o.Reboots, o.Due}
	for _, f := range o.Foreign {
		item.Foreign = append(item.Foreign, foreignJSON(f))
	}
	item.Unknown = append(item.Unknown, o.Unknown...)
}

func packageList(changes []closure.Change) []packageJSON {
	list := make([]packageJSON, len(changes))
	for i, c := range changes {
		list[i] = packageJSON{c.Name, some(c.Old), some(c.New), c.Bytes}
	}
	return list
}

// some is the list, which is [] and not null where there is nothing in it.
func some(list []string) []string { return append([]string{}, list...) }
