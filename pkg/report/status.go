package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/status"
)

// Status is a node's host as it was found.
type Status struct {
	event.Result               // its Toplevel is the configuration's, "" if that was not evaluated
	State        *status.State // nil where the host was not asked
	Keys         []status.Key
}

// standing is a host's system beside its configuration.
type standing string

const (
	configured standing = "as configured"
	atBoot     standing = "at next boot" // the host boots the configuration's
	otherBoot  standing = "boots other"  // it runs the configuration's, and boots another
	differs    standing = "differs"
	unasked    standing = "-" // nobody asked for the configuration's
	noNixOS    standing = "no NixOS"
)

// of is how n hosts stand.
func (s standing) of(n int) string {
	switch {
	case s == differs && n > 1:
		return "differ"
	case s == otherBoot && n > 1:
		return "boot others"
	}
	return string(s)
}

// stands compares a host that was asked.
func (s Status) stands() standing {
	current, next := s.State.Current.Path, s.State.Next.Path
	switch {
	case current == "":
		return noNixOS
	case s.Toplevel == "" && current != next:
		return otherBoot
	case s.Toplevel == "":
		return unasked
	case current != s.Toplevel && next == s.Toplevel:
		return atBoot
	case current != s.Toplevel:
		return differs
	case next != s.Toplevel:
		return otherBoot
	}
	return configured
}

// Statuses prints how hosts are, a row each, and the numbers of all. A window of so many
// columns that rows would be broken in it is spared the last of theirs; 0 is no window.
func Statuses(out io.Writer, list []Status, style Style, columns int) error {
	_, err := io.WriteString(out, grid(narrowed(statusRows(list), columns), style)+statusSummary(list)+"\n")
	return err
}

// mostWanted is how many of a status' columns are shown however narrow the window is:
// those that say what is wrong.
const mostWanted = 5

// narrowed leaves out last columns until rows have room in a window.
func narrowed(rows [][]cell, columns int) [][]cell {
	for most := len(rows[0]); columns > 0 && most > mostWanted && tableWidth(rows, most) > columns; most-- {
		for i, row := range rows {
			rows[i] = row[:min(len(row), most-1)]
		}
	}
	return rows
}

// tableWidth is how many columns of a window rows of so many cells take.
func tableWidth(rows [][]cell, cells int) (widest int) {
	widths := columnWidths(rows)
	for _, row := range rows {
		if len(row) < cells { // it says why there is nothing to see
			continue
		}
		width := printable.Width(row[cells-1].text)
		for _, w := range widths[:cells-1] {
			width += w + len(gap)
		}
		widest = max(widest, width)
	}
	return widest
}

var statusHead = []cell{plain("NODE"), plain("SYSTEM"), plain("REBOOT"), plain("KEYS"), plain("UNITS"), plain("NIXOS"), plain("GENERATION"), plain("ACTIVE"), plain("BOOTED")}

func statusRows(list []Status) [][]cell {
	rows := [][]cell{statusHead}
	for _, s := range list {
		rows = append(rows, statusRow(s))
	}
	return rows
}

// statusRow is a node's row. Where there is nothing to see, its last cell says why.
func statusRow(s Status) []cell {
	name := plain(label(s.Node))
	if s.State == nil {
		return []cell{name, missing(s)}
	}
	nixos := s.State.Current.NixOS()
	if nixos == "" {
		nixos = "-"
	}
	number := "-"
	if g := s.State.Generation(s.State.Current); g.Number > 0 {
		number = fmt.Sprint(g.Number)
	}
	return []cell{name, standingCell(s.stands()), rebootCell(*s.State), keysCell(s.Keys), unitsCell(*s.State),
		plain(nixos), plain(number), plain(age(s.State.Now, s.State.CurrentSince)), plain(age(s.State.Now, s.State.BootedSince))}
}

func standingCell(is standing) cell {
	switch is {
	case configured:
		return cell{string(is), green}
	case unasked:
		return plain(string(is))
	case noNixOS:
		return cell{string(is), red}
	}
	return cell{string(is), yellow}
}

// mostOfReason is how many columns the reason of a host's silence may take in its row.
const mostOfReason = 100

// missing says why there is nothing to see of a host.
func missing(s Status) cell {
	switch {
	case s.Status == event.Skipped:
		return plain("no host: deployment.targetHost is null")
	case s.Err == nil || s.Status == event.Cancelled:
		return cell{"not asked", yellow}
	}
	why := printable.Line(firstReason(hive.Broken{Name: s.Node, Err: s.Err}), mostOfReason)
	if what := silence[s.Step]; what != "" {
		why = what + ": " + why
	}
	return cell{why, red}
}

// silence is what a step that failed means for who wants to see the host.
var silence = map[plan.StepKind]string{plan.Connect: "unreachable", plan.Status: "no answer"}

func unitsCell(s status.State) cell {
	switch {
	case s.Units > 0:
		return cell{fmt.Sprintf("%d failed: %s", s.Units, firstOf(s.Failed, s.Units)), red}
	case s.Running == "running":
		return plain("ok")
	case s.Running == "":
		return plain("-")
	}
	return cell{s.Running, yellow}
}

// firstOf names the first few of so many.
func firstOf(names []string, all int) string {
	const most = 2
	shown := names[:min(len(names), most)]
	text := strings.Join(shown, ", ")
	if rest := all - len(shown); rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return text
}

func rebootCell(s status.State) cell {
	reason := s.RebootReason()
	switch {
	case reason != "":
		return cell{reason, yellow}
	case s.Booted.Path == "":
		return plain("not known")
	}
	return plain("-")
}

func keysCell(keys []status.Key) cell {
	if len(keys) == 0 {
		return plain("-")
	}
	for _, place := range []status.Place{status.Missing, status.Drifted} {
		var names []string
		for _, key := range keys {
			if key.Place == place {
				names = append(names, label(key.Name))
			}
		}
		if len(names) > 0 {
			return cell{fmt.Sprintf("%d %s: %s", len(names), place, firstOf(names, len(names))), red}
		}
	}
	return plain(fmt.Sprintf("%d %s", len(keys), status.InPlace))
}

// age is how long ago something was, by the clock of who tells both times.
func age(now, then time.Time) string {
	if now.IsZero() || then.IsZero() {
		return "-"
	}
	switch d := now.Sub(then); {
	case d < 0:
		return "later" // a clock was set
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours())/24)
	}
}

// statusSummary is the numbers in one line.
func statusSummary(list []Status) string {
	var asked, units, reboots int
	stands, keys := map[standing]int{}, map[status.Place]int{}
	for _, s := range list {
		if s.State == nil {
			continue
		}
		asked++
		stands[s.stands()]++
		units += s.State.Units
		if s.State.RebootReason() != "" {
			reboots++
		}
		for place, n := range status.CountKeys(s.Keys) {
			keys[place] += n
		}
	}
	text := fmt.Sprintf("%d of %d hosts answer", asked, len(list))
	for _, is := range []standing{configured, differs, atBoot, otherBoot, noNixOS} {
		if n := stands[is]; n > 0 {
			text += fmt.Sprintf(", %d %s", n, is.of(n))
		}
	}
	if reboots > 0 {
		text += fmt.Sprintf(", %d to reboot", reboots)
	}
	for _, place := range []status.Place{status.Missing, status.Drifted} {
		if keys[place] > 0 {
			text += fmt.Sprintf(", %s %s", count(keys[place], "key"), place)
		}
	}
	if units > 0 {
		text += ", " + count(units, "failed unit")
	}
	return text
}

type statusJSON struct {
	Node         string        `json:"node"`
	Status       string        `json:"status"`
	Step         string        `json:"step,omitempty"`
	Error        string        `json:"error,omitempty"`
	Reachable    bool          `json:"reachable"`
	Wanted       *systemJSON   `json:"wanted"`       // no more than its path; null: not evaluated
	AsConfigured *bool         `json:"asConfigured"` // it runs and boots that; null: not known
	Current      *livingJSON   `json:"current"`
	Booted       *livingJSON   `json:"booted"`
	Next         *livingJSON   `json:"next"`
	Reboot       []string      `json:"reboot"` // parts
	State        string        `json:"state,omitempty"`
	FailedUnits  []string      `json:"failedUnits"`
	FailedCount  int           `json:"failedCount"`
	Keys         []keyLookJSON `json:"keys"`
	Time         *time.Time    `json:"time"` // of the host's clock
	Seconds      float64       `json:"seconds"`
}

// livingJSON is a system with what a host alone knows of it.
type livingJSON struct {
	systemJSON
	Since      *time.Time `json:"since"`
	Generation *int       `json:"generation"`
	Made       *time.Time `json:"made"` // when the generation was
}

type keyLookJSON struct {
	Name  string `json:"name"`
	Path  string `json:"path"`
	State string `json:"state"` // in place, missing or drifted
	Note  string `json:"note,omitempty"`
}

// StatusesJSON prints the same as one JSON document.
func StatusesJSON(out io.Writer, list []Status) error {
	return write(out, statusDocument(list))
}

func statusDocument(list []Status) map[string]any {
	results := make([]statusJSON, 0, len(list))
	for _, s := range list {
		item := statusJSON{Node: s.Node, Status: string(s.Status), Step: string(s.Step), Reboot: []string{}, FailedUnits: []string{}, Keys: []keyLookJSON{}, Seconds: seconds(s.Elapsed)}
		if s.Toplevel != "" {
			item.Wanted = &systemJSON{Path: s.Toplevel}
		}
		if s.Err != nil {
			item.Error = s.Err.Error()
		}
		if s.State != nil {
			item.tell(s)
		}
		results = append(results, item)
	}
	return map[string]any{"version": DocumentVersion, "results": results}
}

// tell adds what a host has said.
func (item *statusJSON) tell(s Status) {
	state := *s.State
	item.Reachable, item.Time = true, instant(state.Now)
	if s.Toplevel != "" {
		as := s.stands() == configured
		item.AsConfigured = &as
	}
	living := func(system closure.System, since time.Time) *livingJSON {
		if system.Path == "" {
			return nil
		}
		l := &livingJSON{systemJSON: *asJSON(system), Since: instant(since)}
		if g := state.Generation(system); g.Number > 0 {
			l.Generation, l.Made = &g.Number, instant(g.Made)
		}
		return l
	}
	item.Current, item.Booted, item.Next = living(state.Current, state.CurrentSince), living(state.Booted, state.BootedSince), living(state.Next, time.Time{})
	item.Reboot = append(item.Reboot, state.RebootParts()...)
	item.State, item.FailedCount = state.Running, state.Units
	item.FailedUnits = append(item.FailedUnits, state.Failed...)
	for _, key := range s.Keys {
		item.Keys = append(item.Keys, keyLookJSON{key.Name, key.Path, string(key.Place), key.Note})
	}
}

// instant is a time, nil for none.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	utc := t.UTC()
	return &utc
}

// StatusesLine prints the document of [StatusesJSON] in one line.
func StatusesLine(out io.Writer, list []Status) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(statusDocument(list)); err != nil {
		return err
	}
	_, err := io.WriteString(out, escapedJSON(text.String()))
	return err
}
