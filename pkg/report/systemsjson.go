package report

import "github.com/colmena-go/colmena-go/pkg/closure"

// systemsJSON is what plan and diff say of a host's systems beside its configuration's.
type systemsJSON struct {
	Current  *systemJSON   `json:"current"`
	Next     *systemJSON   `json:"next"`
	Wanted   *systemJSON   `json:"wanted"`
	Packages *packagesJSON `json:"packages"` // null: not known
	Copy     *copyJSON     `json:"copy"`     // null: not known
	Reboot   []string      `json:"reboot"`   // parts
	Unknown  []string      `json:"unknown"`
}

func noSystems() systemsJSON { return systemsJSON{Reboot: []string{}, Unknown: []string{}} }

type systemJSON struct {
	Path   string `json:"path"`
	NixOS  string `json:"nixos,omitempty"`
	Kernel string `json:"kernel,omitempty"`
	Bytes  *int64 `json:"bytes,omitempty"`
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

// compared adds how the wanted system differs from old, one of the others.
func (s *systemsJSON) compared(d *closure.Diff, old *systemJSON) {
	s.Packages = inJSON(*d)
	s.Wanted.Bytes = &d.NewBytes
	if old != nil {
		old.Bytes = &d.OldBytes
	}
}

// asJSON is a system, nil for none.
func asJSON(s closure.System) *systemJSON {
	if s.Path == "" {
		return nil
	}
	return &systemJSON{Path: s.Path, NixOS: s.NixOS(), Kernel: s.Kernel()}
}

func copyAsJSON(c *closure.Copy) *copyJSON {
	if c == nil {
		return nil
	}
	return &copyJSON{c.Bytes, c.Paths}
}

func inJSON(d closure.Diff) *packagesJSON {
	return &packagesJSON{packageList(d.Changed), packageList(d.Added), packageList(d.Removed), d.Rebuilt}
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
