package report

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/colmena-go/colmena-go/pkg/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stalled is a Terminal whose reader takes nothing before it is told to read,
// which returns all there was.
func stalled(t *testing.T) (screen *Terminal, read func() string) {
	t.Helper()
	r, w := io.Pipe()
	screen = NewTerminal(w)
	all := make(chan string, 1)
	t.Cleanup(func() {
		screen.Close(t.Context())
		r.Close()
		<-screen.ended
	})
	return screen, func() string {
		go func() {
			text, _ := io.ReadAll(r)
			all <- string(text)
		}()
		if !screen.Close(context.Background()) {
			t.Error("the reader reads, but not all was written")
		}
		w.Close()
		return <-all
	}
}

func TestNobodyWaitsForAReaderWhoStopped(t *testing.T) {
	screen, _ := stalled(t)
	list := []event.Result{{Node: "web", Status: event.Succeeded}}
	run := newRun(View{Screen: screen, Verbose: true}, list)
	line := strings.Repeat("x", 1<<10)
	const lines = 3 * room >> 10
	for range lines { // returns, or the test ends with its deadline
		run.Emit(event.Event{Node: "web", Kind: event.Output, Text: line})
	}
	run.Emit(event.Event{Node: "web", Kind: event.Warn, Text: "look"})
	run.Emit(event.Event{Node: "web", Kind: event.Note, Text: "listen"})
	run.End(list)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if screen.Close(ctx) {
		t.Error("nothing was read, and all was written")
	}
}

func TestWhatIsDroppedIsCountedAndOnlyOutputIs(t *testing.T) {
	screen, read := stalled(t)
	plain := NewPlain(screen, true, false)
	line := strings.Repeat("x", 1<<10)
	const lines = 3 * room >> 10
	for range lines {
		plain.Emit(event.Event{Node: "web", Kind: event.Output, Text: line})
	}
	plain.Emit(event.Event{Node: "web", Kind: event.Warn, Text: "look"})
	plain.Emit(event.Event{Node: "web", Kind: event.End, Text: "switch done"})
	text := read()
	shown := strings.Count(text, line)
	notice := fmt.Sprintf("colmena-go: … %d lines not shown: output comes faster than it is read\nweb | warning: look\nweb | switch done\n", lines-shown)
	if shown == 0 || shown == lines || !strings.HasSuffix(text, notice) {
		t.Errorf("%d of %d lines shown, and at the end %q", shown, lines, text[max(0, len(text)-200):])
	}
}

func TestJSONTellsOfDroppedEntriesAsJSON(t *testing.T) {
	list := entries(t, func(screen *Terminal) {
		screen.mu.Lock()
		screen.missing = 1
		screen.mu.Unlock()
	})
	if len(list) != 1 || list[0].Level != "warn" || !strings.Contains(list[0].Message, "1 line not shown") {
		t.Errorf("%+v", list)
	}
}

// Who reads a first page for long, as in a pager, gets the rest all the same.
func TestASlowReaderGetsAll(t *testing.T) {
	r, w := io.Pipe()
	screen := NewTerminal(w)
	want := strings.Repeat("a line\n", 20<<10)
	screen.Print(want)
	got := make(chan string)
	go func() {
		time.Sleep(300 * time.Millisecond)
		var all bytes.Buffer
		for buf := make([]byte, 1<<10); ; time.Sleep(time.Millisecond) {
			n, err := r.Read(buf)
			all.Write(buf[:n])
			if err != nil {
				got <- all.String()
				return
			}
		}
	}()
	if !screen.Close(t.Context()) {
		t.Error("a reader who reads was given up")
	}
	w.Close()
	if text := <-got; text != want {
		t.Errorf("%d bytes of %d arrived", len(text), len(want))
	}
}

func TestTheEndWaitsForAReaderOnlyAsLongAsItIsAskedTo(t *testing.T) {
	screen, _ := stalled(t)
	screen.Print("a line\n")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if screen.Settle(ctx) {
		t.Error("settled without a reader")
	}
}

func TestDiagnosticsForgeNoLineAndObeyNobody(t *testing.T) {
	got := printed(t, func(screen *Terminal) {
		log := Logger(NewPlain(screen, false, false), zerolog.InfoLevel)
		log.Warn().Str("node", "a\nweb | done").Msg("trace \x1b]52;c;eA==\a\x1b[2Jhere\nweb | switch done\n")
		screen.Tell(zerolog.ErrorLevel, "one\nweb | switch done\x1b[2J")
		fmt.Fprint(screen, "raw \x1b[2J\x1b[31mred\x1b[0m\n")
	})
	want := "WRN \"a\\nweb | done\": trace here\n    web | switch done\n" +
		"colmena-go: one\n  web | switch done\nraw \x1b[31mred\x1b[0m\n"
	if got != want {
		t.Errorf("printed\n%q\nwant\n%q", got, want)
	}
}

func TestADiagnosticNamesItsNodesFirst(t *testing.T) {
	many := []string{}
	for i := range 30 {
		many = append(many, fmt.Sprintf("node-%02d", i))
	}
	got := printed(t, func(screen *Terminal) {
		log := Logger(NewPlain(screen, false, false), zerolog.InfoLevel)
		log.Warn().Str("node", "web").Msg("one")
		log.Warn().Strs("nodes", []string{"web"}).Str("node", "web").Msg("one of a list")
		log.Warn().Strs("nodes", []string{"a", "b c", "d", "e"}).Msg("some")
		log.Warn().Strs("nodes", many).Msg("many")
		log.Info().Msg("none")
	})
	want := "WRN web: one\nWRN web: one of a list\nWRN a, \"b c\", d, e: some\n" +
		"WRN node-00, node-01, node-02, node-03, node-04, node-05 and 24 more: many\nINF none\n"
	if got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

func TestWhatIsHeldWaitsAndKeepsItsOrder(t *testing.T) {
	var out bytes.Buffer
	screen := NewTerminal(&out)
	screen.Print("before\n")
	release := screen.Hold(t.Context())
	shown := out.String() // nobody writes any more
	screen.Print("one\n")
	inner := screen.Hold(t.Context())
	screen.Print("two\n")
	inner()
	inner()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if screen.Settle(ctx) || out.String() != shown {
		t.Errorf("shown while it is held: %q", out.String())
	}
	release()
	if !screen.Close(t.Context()) || out.String() != "before\none\ntwo\n" {
		t.Errorf("%q", out.String())
	}
}

func TestAReaderWhoStoppedHoldsNobodyUpWhoHolds(t *testing.T) {
	screen, read := stalled(t)
	screen.Print("a line\n")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	screen.Hold(ctx)()
	if text := read(); text != "a line\n" {
		t.Errorf("%q", text)
	}
}

func TestWhoWritesBesideWaitsWhileTheScreenIsHeld(t *testing.T) {
	screen := NewTerminal(io.Discard)
	defer screen.Close(t.Context())
	out := make(chan string, 1)
	w := screen.Beside(written(out))
	release := screen.Hold(t.Context())
	go io.WriteString(w, "text")
	select {
	case <-out:
		t.Error("written over a question")
	case <-time.After(50 * time.Millisecond):
	}
	release()
	if text := <-out; text != "text" {
		t.Errorf("%q", text)
	}
}

type written chan string

func (w written) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}
