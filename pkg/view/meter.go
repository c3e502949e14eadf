package view

import (
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/record"
)

// Meter measures how fast a run goes on, from its events. The zero value is ready.
type Meter struct {
	sent    int64            // bytes, of all copies
	perNode map[string]int64 // what was last told of each
	samples []sample         // of the last seconds, the oldest first
	builds  time.Time        // when the first build was told of; zero before that
}

// sample is how much was sent by a time.
type sample struct {
	at   time.Time
	sent int64
}

// How long is looked back for a rate, how long a rate must have been measured to say
// how long the rest takes, and how often is measured.
const (
	lookBack   = 10 * time.Second
	longEnough = 3 * time.Second
	sampleGap  = 250 * time.Millisecond
	fewBuilds  = 3 // that must be done before they say how long others take,
	partBuilt  = 4 // and one of so many
)

// Add tells the Meter of an event.
func (m *Meter) Add(e event.Event) {
	switch {
	case e.Kind == event.Building && m.builds.IsZero():
		m.builds = e.Time
	case e.Kind == event.Progress && e.Step == plan.Push && e.Total > 0:
		m.add(e)
	}
}

func (m *Meter) add(e event.Event) {
	if m.perNode == nil {
		m.perNode = map[string]int64{}
	}
	if before := m.perNode[e.Node]; e.Done > before {
		m.sent += e.Done - before
	}
	m.perNode[e.Node] = e.Done
	if n := len(m.samples); n > 0 && e.Time.Sub(m.samples[n-1].at) < sampleGap {
		return
	}
	m.samples = append(m.samples, sample{e.Time, m.sent})
	for len(m.samples) > 2 && e.Time.Sub(m.samples[1].at) > lookBack {
		m.samples = m.samples[1:]
	}
}

// rate is in bytes a second over the last seconds; 0 if it is not known.
func (m *Meter) rate(now time.Time) float64 {
	samples := m.samples
	for len(samples) > 0 && now.Sub(samples[0].at) > lookBack+time.Second {
		samples = samples[1:]
	}
	if len(samples) == 0 {
		return 0
	}
	took := now.Sub(samples[0].at)
	if took < time.Second {
		return 0
	}
	return float64(m.sent-samples[0].sent) / took.Seconds()
}

// left is how long builds and copies take still, if enough of them was measured. Of what
// else there is to do nobody can know.
func (m *Meter) left(r *record.Record, now time.Time) (rest time.Duration, known bool) {
	if done, total := copied(r); done < total && len(m.samples) > 0 {
		if rate := m.rate(now); rate > 0 && now.Sub(m.samples[0].at) >= longEnough {
			rest, known = time.Duration(float64(total-done)/rate*float64(time.Second)), true
		}
	}
	if b := r.Builds; b != nil && b.Done >= fewBuilds && b.Done*partBuilt >= b.Expected && !m.builds.IsZero() {
		if open := b.Expected - b.Done - b.Failed; open > 0 && now.Sub(m.builds) >= longEnough {
			rest, known = max(rest, now.Sub(m.builds)/time.Duration(b.Done)*time.Duration(open)), true
		}
	}
	if rest < longEnough || rest > 100*time.Hour {
		return 0, false
	}
	return rounded(rest), known
}

// rounded is as exact as an estimate can be.
func rounded(d time.Duration) time.Duration {
	switch {
	case d > 10*time.Minute:
		return d.Round(time.Minute)
	case d > 30*time.Second:
		return d.Round(10 * time.Second)
	}
	return d.Round(5 * time.Second)
}
