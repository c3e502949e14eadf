package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/record"
)

func TestLinesOfManyNodesNeverMix(t *testing.T) {
	var out bytes.Buffer
	var said kept
	p := &Prefixed{Out: &out, Sink: &said, Filter: true}
	p.Expect([]string{"a", "web-10"})
	stdout, stderr, end := p.Of("a")
	other, _, otherEnds := p.Of("web-10")
	io.WriteString(stdout, "half ")
	io.WriteString(other, "one\ntwo\nthr")
	io.WriteString(stdout, "a line\nand \x1b[2Jmore")
	io.WriteString(stderr, "oops\nno end")
	end()
	otherEnds()
	want := "web-10 | one\nweb-10 | two\n     a | half a line\n     a | and more\nweb-10 | thr\n"
	if out.String() != want {
		t.Errorf("%q\nwant %q", out.String(), want)
	}
	if len(said) != 2 || said[0].Text != "oops" || said[1].Text != "no end" || said[0].Node != "a" || said[0].Kind != event.Output {
		t.Errorf("standard error: %+v", said)
	}
	out.Reset()
	p.Filter = false
	stdout, _, end = p.Of("a")
	io.WriteString(stdout, "\x1b[2J\xff\n")
	io.WriteString(stdout, strings.Repeat("x", longestLine))
	io.WriteString(stdout, "y")
	end()
	if want := "     a | \x1b[2J\xff\n     a | " + strings.Repeat("x", longestLine) + "\n     a | y\n"; out.String() != want {
		t.Errorf("bytes change on the way, or a line grows without end: %d", out.Len())
	}
}

func TestAPipeWaitsForItsReaderAndForNobodyElse(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	reader, writer := io.Pipe()
	p := NewPipe(ctx, writer)
	wrote := make(chan int)
	go func() {
		n := 0
		for ; n < 1000; n++ {
			if _, err := fmt.Fprintf(p, "%d\n", n); err != nil {
				break
			}
		}
		wrote <- n
	}()
	select {
	case n := <-wrote:
		t.Errorf("%d lines are taken though nobody reads", n)
	case <-time.After(50 * time.Millisecond):
	}
	text := make(chan string)
	go func() {
		all, _ := io.ReadAll(reader)
		text <- string(all)
	}()
	if n := <-wrote; n != 1000 {
		t.Errorf("%d lines are written", n)
	}
	p.Close()
	writer.Close()
	if got := <-text; strings.Count(got, "\n") != 1000 || !strings.HasSuffix(got, "\n999\n") {
		t.Errorf("%d lines arrive", strings.Count(got, "\n"))
	}

	reader, writer = io.Pipe()
	p, why := NewPipe(ctx, writer), errors.New("enough")
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	var err error
	for err == nil {
		_, err = p.Write([]byte("x\n"))
	}
	if !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
	p.Close()
	reader.CloseWithError(io.ErrClosedPipe)

	reader, writer = io.Pipe()
	p = NewPipe(t.Context(), writer)
	reader.Close()
	for err = nil; err == nil; {
		_, err = p.Write([]byte("x\n"))
	}
	p.Close()
}

func TestEqualOutputsAreShownOnce(t *testing.T) {
	k, zero, three := &Kept{}, 0, 3
	var results []event.Result
	for i := range 14 {
		node := fmt.Sprintf("web-%d", i+1)
		stdout, stderr, end := k.Of(node)
		text, r := "same\n", event.Result{Node: node, Status: event.Succeeded, Exit: &zero}
		switch i {
		case 5:
			text, r.Status, r.Exit = "other", event.Failed, &three
		case 7, 8:
			text = ""
		}
		io.WriteString(stdout, text)
		if i == 5 {
			io.WriteString(stderr, "why\n")
		}
		end()
		results = append(results, r)
	}
	results = append(results, event.Result{Node: "down", Status: event.Failed, Err: errors.New("unreachable")})
	var out bytes.Buffer
	if err := k.Groups(&out, results, true); err != nil {
		t.Fatal(err)
	}
	want := "web-1 … web-5, web-7, web-10 … web-14: same output\nsame\n\nweb-8, web-9: same output\n(no output)\n\nweb-6: (status 3)\nother\nstderr | why\n"
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	if err := k.JSON(&out, &record.Record{}, results, time.Time{}); err != nil {
		t.Fatal(err)
	}
	var document struct{ Results []map[string]any }
	if err := json.Unmarshal(out.Bytes(), &document); err != nil || len(document.Results) != 15 {
		t.Fatal(err, out.String())
	}
	if r := document.Results[5]; r["exitStatus"] != 3.0 || r["stdout"] != "other" || r["stderr"] != "why\n" {
		t.Errorf("%v", r)
	}
	if r := document.Results[14]; r["exitStatus"] != nil || r["error"] != "unreachable" {
		t.Errorf("%v", r)
	}
}

func TestOfALongOutputTheBeginningIsKept(t *testing.T) {
	k := &Kept{}
	for _, node := range []string{"a", "b"} {
		stdout, _, end := k.Of(node)
		for range 40 {
			io.WriteString(stdout, strings.Repeat("ä", 20_000)) // a character is cut in two
		}
		if node == "b" {
			io.WriteString(stdout, "not the same")
		}
		end()
	}
	var out bytes.Buffer
	zero := 0
	results := []event.Result{{Node: "a", Status: event.Succeeded, Exit: &zero}, {Node: "b", Status: event.Succeeded, Exit: &zero}}
	if err := k.Groups(&out, results, false); err != nil || strings.Contains(out.String(), "same output") || !strings.Contains(out.String(), "… 551 kB more") || out.Len() > 3<<20 {
		t.Errorf("%v: %d bytes, %q", err, out.Len(), out.String()[max(0, out.Len()-40):])
	}
	if plain, encoded := forJSON(k.nodes["a"].stdout); encoded != "" || len(plain) < keptSize-4 {
		t.Errorf("%d bytes, and %d in base64", len(plain), len(encoded))
	}
}
