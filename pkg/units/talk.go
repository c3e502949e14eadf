package units

import (
	"bufio"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

//go:embed host/*.sh
var rooms embed.FS

var hostScript = hostscript.Join(rooms, "host/*.sh")

// What a host may take for questions, and how much it may say, in bytes.
const (
	showLimit   = 30 * time.Second
	statusLimit = 20 * time.Second
	beside      = 2*showLimit + mostShown*statusLimit + 30*time.Second // the calls
	answerSize  = 2 << 20
)

// talk is the running host script.
type talk struct {
	ctx    context.Context
	cancel context.CancelFunc
	stdin  *io.PipeWriter
	stdout *bufio.Reader
	out    *io.PipeReader
	ended  chan struct{}
	runErr error // how it ended; to be read after ended
}

// begin starts the host's half.
func begin(ctx context.Context, host hostscript.Runner) *talk {
	all := limit + beside
	ctx, cancel := context.WithTimeoutCause(ctx, all+10*time.Second, fmt.Errorf("the host does not tell within %s how its units are", all))
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	t := &talk{ctx: ctx, cancel: cancel, stdin: inW, out: outR, stdout: bufio.NewReader(outR), ended: make(chan struct{})}
	go func() {
		defer crash.Guard()
		t.runErr = hostscript.Run(ctx, host, hostscript.Call{Script: hostScript, Limit: all, Stdin: inR, Stdout: outW})
		inR.CloseWithError(io.ErrClosedPipe)
		outW.Close()
		close(t.ended)
	}()
	return t
}

// stop ends the host's half once it has nothing more to do.
func (t *talk) stop() {
	t.stdin.Close()
	t.out.Close()
	select {
	case <-t.ended:
	case <-time.After(2 * time.Second):
	}
	t.cancel()
	<-t.ended
}

// errAnswer: what the host says is no answer.
var errAnswer = errors.New("the host stopped telling how its units are")

// ask has systemctl do something within so long.
func (t *talk) ask(within time.Duration, call string, words ...string) (answer, error) {
	switch call {
	case "show", "status":
	default:
		words = append([]string{"--"}, words...)
	}
	list := append([]string{strconv.Itoa(int(math.Ceil(within.Seconds()))), call}, words...)
	_, sent := t.stdin.Write(hostscript.List(list...))
	text, err := t.read()
	switch {
	case errors.Is(err, errAnswer):
		return answer{}, err
	case err != nil || sent != nil:
		return answer{}, t.why()
	}
	body, status, ok := cutLast(text, "\nstatus ")
	if !ok {
		return answer{}, errAnswer
	}
	return answer{body, strings.TrimSpace(status)}, nil
}

// read reads an answer: a line with its length, and that many bytes.
func (t *talk) read() (string, error) {
	line, err := t.stdout.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	size, err := strconv.Atoi(strings.TrimSpace(string(line)))
	if err != nil || size < 0 || size > answerSize {
		return "", errAnswer
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(t.stdout, text); err != nil {
		return "", err
	}
	return string(text), nil
}

// why is what ended the conversation.
func (t *talk) why() error {
	if t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	t.stop()
	if t.runErr != nil {
		return t.runErr
	}
	return errAnswer
}

func cutLast(text, sep string) (before, after string, found bool) {
	if at := strings.LastIndex(text, sep); at >= 0 {
		return text[:at], text[at+len(sep):], true
	}
	return text, "", false
}
