package report

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

// KeyStanding is how a host has a key, and its unit.
type KeyStanding struct {
	plan.KeyStanding
	Unit      string // "" where there is none to ask about
	UnitState string // as systemd says; "" where it does not
}

// NodeKeys are how a node's host has its keys.
type NodeKeys struct {
	event.Result
	Keys []KeyStanding // nil where the host was not asked
}

// Drifts reports whether the host has not what the node declares.
func (n NodeKeys) Drifts() bool {
	return slices.ContainsFunc(n.Keys, func(k KeyStanding) bool { return k.Drifts() })
}

// source says where a key's content comes from. Arguments of commands may be secret, and
// are left out.
func source(key hive.Key) (kind, from string) {
	switch {
	case len(key.Command) > 0:
		return "keyCommand", path.Base(key.Command[0])
	case key.File != "":
		return "keyFile", key.File
	}
	return "text", ""
}

// Keys prints which keys nodes declare, a row each.
func Keys(out io.Writer, nodes []hive.Node, style Style) error {
	rows := [][]cell{{plain("NODE"), plain("KEY"), plain("PATH"), plain("OWNER"), plain("MODE"), plain("UPLOADED"), plain("FROM")}}
	for _, node := range nodes {
		for _, key := range node.Keys {
			kind, from := source(key)
			rows = append(rows, []cell{plain(label(node.Name)), plain(label(key.Attr)), plain(printable.Text(key.Path())),
				plain(printable.Text(key.User + ":" + key.Group)), plain(fmt.Sprintf("%04o", key.Mode)), plain(string(key.UploadAt)),
				plain(strings.TrimSpace(kind + " " + printable.Text(from)))})
		}
	}
	_, err := io.WriteString(out, grid(rows, style))
	return err
}

type declaredKeyJSON struct {
	Name         string   `json:"name"`
	Path         string   `json:"path"`
	User         string   `json:"user"`
	Group        string   `json:"group"`
	Permissions  string   `json:"permissions"`
	UploadAt     string   `json:"uploadAt"`
	Source       string   `json:"source"`
	KeyFile      string   `json:"keyFile,omitempty"`
	Program      string   `json:"program,omitempty"` // of a keyCommand, without arguments
	Fingerprint  *string  `json:"fingerprint"`
	Unit         string   `json:"unit"`
	RestartUnits []string `json:"restartUnits"`
	ReloadUnits  []string `json:"reloadUnits"`
}

type declaringJSON struct {
	Node  string            `json:"node"`
	Keys  []declaredKeyJSON `json:"keys"`
	Error string            `json:"error,omitempty"`
}

// KeysJSON prints the same as one JSON document, those nodes among them that cannot be used.
func KeysJSON(out io.Writer, nodes []hive.Node, broken []hive.Broken) error {
	list := []declaringJSON{}
	for _, node := range broken {
		list = append(list, declaringJSON{Node: node.Name, Keys: []declaredKeyJSON{}, Error: node.Err.Error()})
	}
	for _, node := range nodes {
		item := declaringJSON{Node: node.Name, Keys: []declaredKeyJSON{}}
		for _, key := range node.Keys {
			kind, from := source(key)
			k := declaredKeyJSON{
				Name: key.Attr, Path: key.Path(), User: key.User, Group: key.Group, Permissions: fmt.Sprintf("%04o", key.Mode),
				UploadAt: string(key.UploadAt), Source: kind, Unit: key.Unit(),
				RestartUnits: append([]string{}, key.RestartUnits...), ReloadUnits: append([]string{}, key.ReloadUnits...),
			}
			if kind == "keyFile" {
				k.KeyFile = from
			} else {
				k.Program = from
			}
			if key.Fingerprint != "" {
				k.Fingerprint = &key.Fingerprint
			}
			item.Keys = append(item.Keys, k)
		}
		list = append(list, item)
	}
	slices.SortFunc(list, func(a, b declaringJSON) int { return strings.Compare(a.Node, b.Node) })
	return write(out, map[string]any{"version": DocumentVersion, "nodes": list})
}

// KeyStandings prints how hosts have their keys, a row each, and the numbers of all.
func KeyStandings(out io.Writer, list []NodeKeys, style Style) error {
	rows := [][]cell{{plain("NODE"), plain("KEY"), plain("STATE"), plain("UNIT"), plain("PATH")}}
	asked := 0
	count := map[plan.Standing]int{}
	for _, n := range list {
		if n.Status != event.Succeeded {
			rows = append(rows, []cell{plain(label(n.Node)), missing(Status{Result: n.Result})})
			continue
		}
		asked++
		for _, key := range n.Keys {
			count[key.Is]++
			rows = append(rows, standingRow(n.Node, key))
		}
	}
	text := fmt.Sprintf("%d of %d hosts answer", asked, len(list))
	for _, is := range plan.Standings {
		if n := count[is]; n > 0 {
			text += fmt.Sprintf(", %d %s", n, is)
		}
	}
	_, err := io.WriteString(out, grid(rows, style)+text+"\n")
	return err
}

func standingRow(node string, key KeyStanding) []cell {
	unit := key.UnitState
	if unit == "" {
		unit = "-"
	}
	state := cell{string(key.Is), red}
	if !key.Drifts() {
		state.color = green
	}
	if key.Is == plan.WrongOwner {
		state.text = "wrong " + and(key.Wrong)
	}
	where := printable.Text(key.Path)
	if key.Note != "" {
		where += " (" + printable.Text(key.Note) + ")"
	}
	return []cell{plain(label(node)), plain(label(key.Name)), state, plain(printable.Text(unit)), plain(where)}
}

type standingJSON struct {
	Name      string   `json:"name"`
	Path      string   `json:"path"`
	State     string   `json:"state"`
	Wrong     []string `json:"wrong"`
	Compared  *string  `json:"compared"` // with what: record or resolved; null: not at all
	Note      string   `json:"note,omitempty"`
	InMemory  bool     `json:"inMemory"`
	Unit      *string  `json:"unit"`
	UnitState *string  `json:"unitState"`
}

type nodeKeysJSON struct {
	Node   string         `json:"node"`
	Status string         `json:"status"`
	Step   string         `json:"step,omitempty"`
	Error  string         `json:"error,omitempty"`
	Keys   []standingJSON `json:"keys"`
}

// KeyStandingsJSON prints the same as one JSON document.
func KeyStandingsJSON(out io.Writer, list []NodeKeys) error {
	results := []nodeKeysJSON{}
	for _, n := range list {
		item := nodeKeysJSON{Node: n.Node, Status: string(n.Status), Step: string(n.Step), Keys: []standingJSON{}}
		if n.Err != nil {
			item.Error = n.Err.Error()
		}
		for _, key := range n.Keys {
			compared := string(key.Compared)
			item.Keys = append(item.Keys, standingJSON{
				Name: key.Name, Path: key.Path, State: string(key.Is), Wrong: append([]string{}, key.Wrong...), Compared: filled(compared),
				Note: key.Note, InMemory: key.InMemory, Unit: filled(key.Unit), UnitState: filled(key.UnitState),
			})
		}
		results = append(results, item)
	}
	return write(out, map[string]any{"version": DocumentVersion, "results": results})
}

// filled is a text, nil for none.
func filled(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
