package report

import (
	"context"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/view"
)

// Picture is what stands below the lines while something goes on.
type Picture interface {
	// Lines are those of the picture at a time. They fit the window.
	Lines(window view.Size, now time.Time) []string
}

// frameGap is how long a picture stands at least before another is drawn. Lines that
// come meanwhile wait for that, too, so that both are one movement to the eye.
const frameGap = 100 * time.Millisecond

// Show has a picture stand below the lines, until hide returns. It is drawn by the one who
// writes the lines, and only while the terminal is ours.
func (t *Terminal) Show(p Picture) (hide func()) {
	t.mu.Lock()
	t.picture = p
	t.mu.Unlock()
	t.signal()
	return func() {
		t.mu.Lock()
		mine := t.picture == p
		if mine {
			t.picture = nil
		}
		t.mu.Unlock()
		if mine {
			t.cleared()
		}
	}
}

// longestLook is how long is waited for a terminal that takes nothing.
const longestLook = time.Second

// cleared waits until no picture stands there any more.
func (t *Terminal) cleared() {
	ctx, cancel := context.WithTimeout(context.Background(), longestLook)
	defer cancel()
	t.Hold(ctx)()
}

// Redraw has the picture be drawn where the cursor is now: what stood before it is
// somebody else's, as after the program was stopped and continued.
func (t *Terminal) Redraw() {
	t.mu.Lock()
	t.anew = true
	t.mu.Unlock()
	t.signal()
}

// frame draws the picture as it is now, or takes away the one that stands there.
func (t *Terminal) frame(p Picture) {
	size, ours := t.size()
	var lines []string
	if ours && p != nil {
		lines = t.linesOf(p, size)
	}
	if !ours {
		t.area = area{} // who is in the foreground has written over it
	}
	t.drawn = time.Now()
	if text := t.area.draw(lines, size.Columns); text != "" {
		t.out.Write([]byte(text))
	}
	t.settleArea()
}

// linesOf is what a picture says. A bug in it costs the picture, and not the deployment.
func (t *Terminal) linesOf(p Picture, size view.Size) (lines []string) {
	err := func() (err error) {
		defer crash.Recover(&err)
		lines = p.Lines(size, time.Now())
		return nil
	}()
	if err != nil {
		t.mu.Lock()
		t.picture = nil
		t.mu.Unlock()
		t.Tell(levelWarn, "no live view is shown any more: "+err.Error())
		return nil
	}
	return lines
}

// lifted takes the picture away, and is told what is printed next.
func (t *Terminal) lifted(text []byte) []byte {
	if len(t.area.lines) == 0 {
		return text
	}
	size, ours := t.size()
	if !ours {
		t.area = area{}
		return text
	}
	return append([]byte(t.area.erase(size.Columns)), text...)
}

// settleArea tells those who wait that nothing is being drawn any more, and whether a
// picture stands there.
func (t *Terminal) settleArea() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shown, t.busy = len(t.area.lines) > 0, false
	close(t.moved)
	t.moved = make(chan struct{})
}

// await waits for something to do: with a picture, until that is to be drawn again.
func (t *Terminal) await(p Picture) {
	if p == nil {
		<-t.wake
		return
	}
	timer := time.NewTimer(max(time.Millisecond, frameGap-time.Since(t.drawn)))
	defer timer.Stop()
	select {
	case <-t.wake:
	case <-timer.C:
	}
}
