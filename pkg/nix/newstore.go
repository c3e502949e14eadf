package nix

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// Programs of Nix that open a store at once, when nobody has before, make it at
// once: one of them may find a half of it that another has made, and fails.

// In a line of Nix, in JSON or not, with colours or not.
const (
	inColor = `(?:\\u001b\[[0-9;]*m|\x1b\[[0-9;]*m)*`
	anError = inColor + `error:` + inColor + ` `
)

var (
	// halfMade: of versions 2.8 to 2.34, as seen where each step takes long.
	halfMade = regexp.MustCompile(`^(?:@nix \{"action":"msg",.*"level":0,.*"msg":")?` + anError +
		`(?:creating symlink .*/gcroots/profiles\b.*: ` + inColor + `File exists|.*/db/schema\b.* is corrupt)`)
	busy = regexp.MustCompile(`^(?:@nix \{"action":"msg",.*"level":1,.*"msg":")?` + inColor + `warning:` + inColor + ` (?:` + anError + `)?SQLite database '.*' is busy`)
)

// longestOfStore is how long such a line may be; longer ones are not looked at.
const longestOfStore = 8 << 10

// opening keeps back what one program says of the store.
type opening struct {
	emit     func(line string)
	halfMade []string // lines
	busy     int      // how often it was
}

func (o *opening) line(line string) {
	switch {
	case len(line) > longestOfStore:
	case (strings.Contains(line, "/gcroots/profiles") || strings.Contains(line, "/db/schema")) && halfMade.MatchString(line):
		o.halfMade = append(o.halfMade, line)
		return
	case strings.Contains(line, "SQLite database") && busy.MatchString(line):
		// Nix waits then, and says so again every 10 s: only that is worth telling.
		if o.busy++; o.busy == 1 {
			return
		}
	}
	o.emit(line)
}

// failed reports whether the program ended with an error because of the store.
func (o *opening) failed(err error) bool {
	var exit *exec.ExitError
	return len(o.halfMade) > 0 && errors.As(err, &exit)
}

// tell tells what was kept back.
func (o *opening) tell() {
	for _, line := range o.halfMade {
		o.emit(line)
	}
}

// tries is how often a program is run that finds a half of a store, each time a
// pause longer after the one before.
const (
	tries = 6
	pause = 50 * time.Millisecond
)

// repeatable: nothing goes into the command, or comes out of it, that cannot be had back.
func repeatable(cmd *exec.Cmd) bool {
	_, file := cmd.Stdout.(*os.File)
	return cmd.Stdin == nil && !file
}

// again prepares the same command once more.
func (t Tool) again(ctx context.Context, cmd *exec.Cmd, stdout io.Writer) *exec.Cmd {
	next := t.Command(ctx, cmd.Args[0], cmd.Args[1:]...)
	next.Env, next.Dir, next.WaitDelay, next.Stdout = cmd.Env, cmd.Dir, cmd.WaitDelay, stdout
	return next
}

// printed passes on what a program prints, and knows whether it did.
type printed struct {
	io.Writer
	any bool
}

func (p *printed) Write(text []byte) (int, error) {
	p.any = true
	return p.Writer.Write(text)
}
