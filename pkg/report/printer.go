package report

import (
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
)

// printer shows events as they come, to people or to programs.
type printer interface {
	event.Sink
	// Expect makes room for the names of nodes, before the first event of one.
	Expect(nodes []string)
	// End tells how all nodes ended, took being since they were known; text is that for
	// people.
	End(results []event.Result, text string, took time.Duration)
}

// NewSink returns what shows events as they come.
func NewSink(v View) event.Sink { return newPrinter(v) }

func newPrinter(v View) printer {
	if v.Quiet {
		v.Quiet = false
		return quiet{newPrinter(v)}
	}
	if v.Screen.InJSON() {
		return NewLog(v.Screen, v.Verbose || v.Told != "")
	}
	plain := NewPlain(v.Screen, v.Verbose, v.Style)
	plain.live, plain.begin, plain.clock, plain.told, plain.tabled = v.Live, v.Begin, v.Clock, v.Told, v.Tabled
	if v.Actions {
		return NewActions(v.Screen, plain)
	}
	return plain
}
