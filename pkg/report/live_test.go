package report

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/view"
)

// What is drawn is asserted to the byte: a terminal at the end of a slow line gets no
// more than it must.
func TestAnAreaIsDrawnAnewWithAsFewBytesAsThatTakes(t *testing.T) {
	for name, c := range map[string]struct {
		before, after []string
		columns       int // then; 80 before that
		want          string
	}{
		"the first":                     {nil, []string{"head", "one"}, 80, "head\none\n"},
		"nothing new":                   {[]string{"head", "one"}, []string{"head", "one"}, 80, ""},
		"none before and none after":    {nil, nil, 80, ""},
		"one line":                      {[]string{"head", "one", "two"}, []string{"head", "1", "two"}, 80, "\r\x1b[2A1\x1b[K\n\n"},
		"a longer line":                 {[]string{"one"}, []string{"one and more"}, 80, "\r\x1b[1Aone and more\n"},
		"the end of a line":             {[]string{"web-01  copy  31/52 MB  0:09"}, []string{"web-01  copy  31/52 MB  0:10"}, 80, "\r\x1b[1A\x1b[26C10\n"},
		"the end of a wide line":        {[]string{"再起動しています 0:09"}, []string{"再起動しています 0:10"}, 80, "\r\x1b[1A\x1b[19C10\n"},
		"a mark on what was there":      {[]string{"0123456789e."}, []string{"0123456789e\u0301."}, 80, "\r\x1b[1A\x1b[10Ce\u0301.\n"},
		"within a character":            {[]string{"0123456789é"}, []string{"0123456789è"}, 80, "\r\x1b[1A\x1b[10Cè\n"},
		"behind a colour":               {[]string{"\x1b[36m▸\x1b[0m web-01 copy 0:09"}, []string{"\x1b[36m▸\x1b[0m web-01 copy 0:10"}, 80, "\r\x1b[1A\x1b[16C10\n"},
		"a colour is written whole":     {[]string{"\x1b[36m0123456789 a\x1b[0m"}, []string{"\x1b[36m0123456789 b\x1b[0m"}, 80, "\r\x1b[1A\x1b[36m0123456789 b\x1b[0m\n"},
		"another colour":                {[]string{"0123456789\x1b[31mno\x1b[0m"}, []string{"0123456789\x1b[32mno\x1b[0m"}, 80, "\r\x1b[1A\x1b[10C\x1b[32mno\x1b[0m\n"},
		"lines that stay between":       {[]string{"a", "b", "c", "d", "e", "f", "g"}, []string{"A", "b", "c", "d", "e", "f", "G"}, 80, "\r\x1b[7AA\n\x1b[5BG\n"},
		"more lines":                    {[]string{"a"}, []string{"a", "b"}, 80, "b\n"},
		"fewer lines":                   {[]string{"a", "b", "c"}, []string{"a"}, 80, "\r\x1b[2A\x1b[J"},
		"no more lines":                 {[]string{"a", "b"}, nil, 80, "\r\x1b[2A\x1b[J"},
		"a wider window":                {[]string{"a", "b"}, []string{"a", "c"}, 120, "\r\x1b[2A\x1b[Ja\nc\n"},
		"a narrower one, and all fits":  {[]string{"a", "b"}, []string{"a", "c"}, 40, "\r\x1b[2A\x1b[Ja\nc\n"},
		"a narrower one, which breaks":  {[]string{strings.Repeat("x", 79), "b"}, []string{"x", "c"}, 40, "\r\x1b[3A\x1b[Jx\nc\n"},
		"one column, which breaks much": {[]string{"0123456789"}, nil, 1, "\r\x1b[10A\x1b[J"},
	} {
		t.Run(name, func(t *testing.T) {
			var a area
			a.draw(c.before, 80)
			if got := a.draw(c.after, c.columns); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// counter is a picture that says how often it was drawn, and what it is told.
type counter struct {
	mu    sync.Mutex
	text  string
	drawn int
	hide  func()
}

func (c *counter) Lines(window view.Size, _ time.Time) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drawn++
	return []string{fmt.Sprintf("--- %d columns", window.Columns), c.text}
}

func (c *counter) say(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = text
}

// shown is a Terminal with a picture, and the screen that it is on.
func shown(t *testing.T) (*Terminal, *screen, *counter) {
	t.Helper()
	s, c := &screen{size: view.Size{Columns: 80, Rows: 24}}, &counter{text: "begins"}
	terminal := NewTerminal(s)
	terminal.size = s.window
	t.Cleanup(func() { terminal.Close(context.Background()) })
	c.hide = terminal.Show(c)
	return terminal, s, c
}

// becomes waits until the screen shows exactly that.
func (s *screen) becomes(t *testing.T, want ...string) {
	t.Helper()
	text := strings.Join(want, "\n")
	for deadline := time.Now().Add(10 * time.Second); s.String() != text; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never there:\n%s\nbut\n%s", text, s)
		}
	}
}

func TestAPictureStandsBelowTheLinesUntilItIsTakenAway(t *testing.T) {
	terminal, s, c := shown(t)
	s.becomes(t, "--- 80 columns", "begins")
	terminal.Print("web-01 | done\n")
	s.becomes(t, "web-01 | done", "--- 80 columns", "begins")
	c.say("goes on")
	s.becomes(t, "web-01 | done", "--- 80 columns", "goes on")
	c.hide()
	terminal.Print("the end\n")
	if !terminal.Close(t.Context()) {
		t.Error("it does not settle")
	}
	s.becomes(t, "web-01 | done", "the end")
}

func TestAPictureMakesRoomForWhoAsksAndComesBack(t *testing.T) {
	terminal, s, c := shown(t)
	s.becomes(t, "--- 80 columns", "begins")
	release := terminal.Hold(t.Context())
	if got := s.String(); got != "" {
		t.Errorf("the screen is held, and shows %q", got)
	}
	s.Write([]byte("password: \n"))
	terminal.Print("web-01 | done\n")
	c.say("goes on")
	time.Sleep(2 * frameGap)
	if got := s.String(); got != "password: " {
		t.Errorf("the screen is held, and shows %q", got)
	}
	release()
	s.becomes(t, "password: ", "web-01 | done", "--- 80 columns", "goes on")
}

func TestAPictureFollowsTheWindow(t *testing.T) {
	terminal, s, c := shown(t)
	long := strings.Repeat("x", 79)
	c.say(long)
	terminal.Print("a line\n")
	s.becomes(t, "a line", "--- 80 columns", long)
	s.resize(view.Size{Columns: 30, Rows: 10})
	c.say("short")
	s.becomes(t, "a line", "--- 30 columns", "short")
	s.resize(view.Size{Columns: 200, Rows: 50})
	s.becomes(t, "a line", "--- 200 columns", "short")
}

// A terminal shows ^C, and other keys, where the cursor is.
func TestWhatIsTypedLeavesNothingOfThePicture(t *testing.T) {
	terminal, s, c := shown(t)
	s.becomes(t, "--- 80 columns", "begins")
	s.Write([]byte("^C"))
	terminal.Print("interrupted\n")
	s.becomes(t, "interrupted", "--- 80 columns", "begins")
	s.Write([]byte("^C"))
	c.hide()
	s.becomes(t, "interrupted")
}

func TestAPictureIsDrawnWhereTheCursorIsAfterAnInterruption(t *testing.T) {
	terminal, s, _ := shown(t)
	s.becomes(t, "--- 80 columns", "begins")
	s.Write([]byte("$ fg\n")) // what a shell wrote meanwhile
	terminal.Redraw()
	s.becomes(t, "--- 80 columns", "begins", "$ fg", "--- 80 columns", "begins")
}

func TestWhereAnotherProgramIsInTheForegroundNothingIsDrawn(t *testing.T) {
	s, c := &screen{size: view.Size{Columns: 80, Rows: 24}}, &counter{}
	terminal := NewTerminal(s)
	defer terminal.Close(context.Background())
	terminal.size = func() (view.Size, bool) { return s.size, false }
	terminal.Show(c)
	terminal.Print("a line\n")
	s.becomes(t, "a line")
	if len(s.writes) != 1 {
		t.Errorf("written: %q", s.writes)
	}
}

func TestAPictureIsDrawnAnewAfterAnotherProgramHadTheForeground(t *testing.T) {
	s, c := &screen{size: view.Size{Columns: 80, Rows: 24}}, &counter{text: "goes on"}
	terminal := NewTerminal(s)
	defer terminal.Close(context.Background())
	var theirs atomic.Bool
	looked := make(chan struct{}, 1000)
	terminal.size = func() (view.Size, bool) {
		if theirs.Load() {
			looked <- struct{}{}
			return view.Size{}, false
		}
		return s.window()
	}
	terminal.Show(c)
	s.becomes(t, "--- 80 columns", "goes on")
	theirs.Store(true)
	<-looked
	s.Write([]byte("an editor\n"))
	theirs.Store(false)
	s.becomes(t, "--- 80 columns", "goes on", "an editor", "--- 80 columns", "goes on")
}

// A frame for each event would be as many as there are lines of output.
func TestOneSecondHasAtMostTenPictures(t *testing.T) {
	terminal, s, c := shown(t)
	begin := time.Now()
	for i := range 3000 {
		terminal.Print(fmt.Sprintf("line %d\n", i))
		c.say(fmt.Sprint(i))
		if i%100 == 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	terminal.Settle(t.Context())
	took := time.Since(begin)
	c.mu.Lock()
	drawn := c.drawn
	c.mu.Unlock()
	if most := int(took/frameGap) + 2; drawn > most {
		t.Errorf("%d pictures in %s, want %d at most", drawn, took, most)
	}
	c.hide()
	terminal.Settle(t.Context())
	if got := strings.Count(s.String(), "\n"); got != 2999 {
		t.Errorf("%d lines of 3000", got+1)
	}
}

type broken struct{}

func (broken) Lines(view.Size, time.Time) []string { panic("no picture") }

func TestABugInAPictureCostsNoMoreThanIt(t *testing.T) {
	terminal, s, _ := shown(t)
	terminal.Show(broken{})
	terminal.Print("a line\n")
	for end := time.Now().Add(10 * time.Second); !strings.Contains(s.String(), "no live view is shown any more"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(s)
		}
	}
	terminal.Print("another\n")
	if !terminal.Settle(t.Context()) || !strings.HasSuffix(s.String(), "another") {
		t.Error(s)
	}
}

func TestWhoHidesAPictureHidesNoOther(t *testing.T) {
	terminal, s, c := shown(t)
	other := &counter{text: "another"}
	terminal.Show(other)
	c.hide()
	s.becomes(t, "--- 80 columns", "another")
}
