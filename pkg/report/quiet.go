package report

import (
	"slices"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
)

// quiet passes on what went wrong, or may. What concerns the run as a whole has a level,
// by which who makes its entries chooses.
type quiet struct{ printer }

// Emit implements [event.Sink].
func (q quiet) Emit(e event.Event) {
	bad := e.Kind == event.End && e.Result != nil && !done(e.Result.Status)
	if bad || e.Kind == event.Warn || e.Kind == event.Private || e.Kind == event.Diagnostic {
		q.printer.Emit(e)
	}
}

// End implements printer.
func (q quiet) End(results []event.Result, text string, took time.Duration) {
	if slices.ContainsFunc(results, func(r event.Result) bool { return !done(r.Status) }) {
		q.printer.End(results, text, took)
	}
}
