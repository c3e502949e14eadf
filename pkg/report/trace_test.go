package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestATraceHasAThreadForEachNode(t *testing.T) {
	var out bytes.Buffer
	if err := Trace(&out, recorded(nil)); err != nil {
		t.Fatal(err)
	}
	var document struct {
		TraceEvents []struct {
			Name, Cat, Ph string
			Ts, Dur       int64
			Tid           int
			Args          map[string]any
		}
		OtherData map[string]any
	}
	if err := json.Unmarshal(out.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	var got []string
	until := map[int]int64{} // where the last span of a thread ended
	for _, e := range document.TraceEvents {
		switch e.Ph {
		case "M":
			if e.Name == "thread_name" || e.Name == "process_name" {
				got = append(got, fmt.Sprintf("%d %s %s", e.Tid, e.Name, e.Args["name"]))
			}
		case "X":
			if e.Ts < until[e.Tid] {
				t.Errorf("%s of thread %d begins before the one ahead of it ended", e.Name, e.Tid)
			}
			if e.Tid > 0 {
				until[e.Tid] = e.Ts + e.Dur
			}
			got = append(got, fmt.Sprintf("%d %s %d+%d", e.Tid, e.Name, e.Ts/1e6, e.Dur/1e6))
		default:
			got = append(got, fmt.Sprintf("%d %s %s", e.Tid, e.Name, e.Args["text"]))
		}
	}
	want := `0 process_name colmena-go apply
0 thread_name run
0 apply 0+20
1 thread_name web
1 evaluate 1+2
1 waiting 9+1
1 push 10+4
1 warning slow
2 thread_name d"b\
2 evaluate 1+3
2 build 5+2`
	if all := strings.Join(got, "\n"); all != want {
		t.Errorf("got\n%s\nwant\n%s", all, want)
	}
	if document.OtherData["begin"] != "2026-11-27T12:00:00.000Z" || document.OtherData["status"] != "failed" {
		t.Errorf("%v", document.OtherData)
	}
}
