package report

import (
	"time"

	"github.com/colmena-go/colmena-go/pkg/record"
)

// stepJSON is a step of a node. Its form is documented in docs/json.md.
type stepJSON struct {
	Step    string  `json:"step"`
	Status  string  `json:"status"`           // succeeded, failed, cancelled, or running when it was left
	Begin   string  `json:"begin"`            // when the node came to it
	Waited  float64 `json:"waited,omitempty"` // for a free slot, before it was done
	Seconds float64 `json:"seconds"`          // that it took after that
	Bytes   int64   `json:"bytes,omitempty"`  // that were copied
	Paths   int     `json:"paths,omitempty"`  // of the store that were copied
	Builds  int64   `json:"builds,omitempty"` // derivations that were built
}

func stepsJSON(n *record.Node, now time.Time) []stepJSON {
	list := []stepJSON{}
	if n == nil {
		return list
	}
	for _, s := range n.Steps {
		list = append(list, stepJSON{Step: string(s.Kind), Status: string(s.State), Begin: stamp(s.Began()), Waited: seconds(s.Waited),
			Seconds: seconds(s.Took(now)), Bytes: s.Bytes(), Paths: s.Paths, Builds: s.Builds()})
	}
	return list
}

// stamp is a time as all documents write it: RFC 3339, in UTC.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// figures are what a step counted, by the names that documents give them.
func figures(s record.Step) map[string]any {
	f := map[string]any{}
	for name, n := range map[string]int64{"bytes": s.Bytes(), "paths": int64(s.Paths), "builds": s.Builds()} {
		if n > 0 {
			f[name] = n
		}
	}
	return f
}
