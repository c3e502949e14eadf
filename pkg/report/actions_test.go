package report

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/record"
)

// runner reads a log as GitHub's does: lines are commands that begin with ::, after white
// space, or have ##[ anywhere. It returns those that it obeys, and what is shown.
func runner(t *testing.T, log string) (obeyed []string, shown string) {
	t.Helper()
	word := ""
	for lines := bufio.NewScanner(strings.NewReader(log)); lines.Scan(); {
		line := lines.Text()
		trimmed := strings.TrimLeft(line, " \t")
		switch {
		case word != "":
			if trimmed == "::"+word+"::" {
				word = ""
			} else {
				shown += line + "\n"
			}
		case strings.HasPrefix(trimmed, "::stop-commands::"):
			word = strings.TrimPrefix(trimmed, "::stop-commands::")
			if len(word) < 20 {
				t.Errorf("the word %q can be guessed", word)
			}
		case strings.HasPrefix(trimmed, "::"), strings.Contains(line, "##["):
			obeyed = append(obeyed, trimmed)
		default:
			shown += line + "\n"
		}
	}
	if word != "" {
		t.Error("who writes to the log afterwards is not obeyed")
	}
	return obeyed, shown
}

// inActions is a run in a log of GitHub's.
func inActions(t *testing.T, names []string, do func(run *Run)) (obeyed []string, shown string) {
	t.Helper()
	return runner(t, printed(t, func(screen *Terminal) {
		run := NewRun(View{Screen: screen, Verbose: true, Actions: true, Again: again}, &record.Record{Goal: hive.Switch})
		run.Expect(names)
		do(run)
		screen.Resume()
	}))
}

func TestALogOfGitHubHasAGroupForEachNodeAndAnErrorForEachFailure(t *testing.T) {
	results := []event.Result{
		{Node: "web", Status: event.Succeeded},
		{Node: "db", Status: event.Failed, Step: plan.Connect, Err: errors.New("100% refused:\nhint: look, there")},
	}
	obeyed, shown := inActions(t, []string{"web", "db"}, func(run *Run) {
		for _, text := range []string{"one", "two"} {
			for _, r := range results {
				run.Emit(event.Event{Node: r.Node, Kind: event.Output, Text: text})
			}
		}
		run.Emit(event.Event{Node: "web", Kind: event.Warn, Text: "at once"})
		for i, r := range results {
			run.Emit(event.Event{Node: r.Node, Kind: event.End, Text: "ended", Result: &results[i]})
		}
		run.End(results)
	})
	want := []string{"::group::web: succeeded", "::endgroup::", "::group::db: failed (connect)", "::endgroup::",
		"::error title=db%3A failed (connect)::100%25 refused:%0Ahint: look, there"}
	if got := strings.Join(obeyed, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("obeyed\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if !strings.HasPrefix(shown, "web | warning: at once\nweb | one\nweb | two\nweb | ended\n db | one\n db | two\n db | ended\n\nNODE") {
		t.Errorf("shown\n%s", shown)
	}
}

// Whoever could write commands there would set variables and paths of the steps that
// follow, and hide what comes.
func TestNothingThatAHostOrAHiveSaysIsACommand(t *testing.T) {
	evil := []string{"::set-output name=x::y", "  ::add-mask::a", "##[set-env name=PATH]/evil", "x ##[add-path]/evil", "::endgroup::", "::stop-commands::AAAAAAAAAAAAAAAAAAAAAAAAAA",
		"line\n::error::forged", "line\r::error::forged", "::group::\n::set-env name=A::B"}
	for _, text := range evil {
		r := event.Result{Node: "web", Status: event.Failed, Step: plan.Activate, Err: errors.New(text), Tail: []string{text}}
		odd := event.Result{Node: text, Status: event.Failed, Step: plan.Activate, Err: errors.New("x\n" + text)}
		obeyed, _ := inActions(t, []string{"web", text}, func(run *Run) {
			for _, node := range []string{"web", text} {
				for _, kind := range []event.Kind{event.Output, event.Note, event.Warn, event.Still, event.Begin} {
					run.Emit(event.Event{Node: node, Kind: kind, Text: text})
				}
			}
			run.Emit(event.Event{Kind: event.Diagnostic, Text: fmt.Sprintf(`{"level":"info","message":%q}`, text)})
			run.Emit(event.Event{Node: "web", Kind: event.End, Text: "failed: " + text, Result: &r})
			run.Emit(event.Event{Node: text, Kind: event.End, Text: "failed: " + text, Result: &odd})
			run.End([]event.Result{r, odd})
		})
		for _, command := range obeyed {
			ours := false
			for _, begin := range []string{"::group::", "::endgroup::", "::error title="} {
				ours = ours || strings.HasPrefix(command, begin)
			}
			if !ours || len(obeyed) != 6 {
				t.Errorf("%q: obeyed %q", text, obeyed)
				break
			}
		}
	}
}

func TestOfManyFailuresAFewAreErrorsAndTheRestIsCounted(t *testing.T) {
	var results []event.Result
	for i := range 50 {
		results = append(results, event.Result{Node: fmt.Sprint("n", i), Status: event.Failed, Step: plan.Connect, Err: errors.New("no")})
	}
	obeyed, _ := inActions(t, nil, func(run *Run) { run.End(results) })
	if len(obeyed) != 10 || obeyed[9] != "::error title=more nodes failed::50 nodes failed; the end of the log says why" {
		t.Errorf("%d errors, the last %q", len(obeyed), obeyed[len(obeyed)-1])
	}
}
