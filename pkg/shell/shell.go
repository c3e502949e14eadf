// Package shell runs a user's own command on one host, as the user would over ssh,
// but so that it ends when we do. host.sh is the half that runs on the host.
package shell

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

//go:embed host.sh
var hostScript []byte

// Command is what a host is to run.
type Command struct {
	by   string // who reads the line there
	line string
}

// Line is words that are joined by spaces and read by the login shell of the host, as
// ssh does: it expands what is not quoted twice.
func Line(words []string) Command { return Command{"login", strings.Join(words, " ")} }

// Exact is a program with its arguments, of which nothing is expanded.
func Exact(words []string) Command {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = hostscript.Quote(word)
	}
	return Command{"sh", "exec " + strings.Join(quoted, " ")}
}

// String is the command as a login shell reads it.
func (c Command) String() string {
	if c.by == "login" {
		return c.line
	}
	return "sh -c " + hostscript.Quote(c.line)
}

// Run runs the command on the host with the given input, nil for none, and returns when
// it has ended and its output is written, with the status of its end: 128 and the number of
// a signal, if one ended it. When ctx is done, or the connection is
// lost and the host notices, the command and the programs that it started are ended there,
// first with SIGTERM. It fails as [hostscript.Run] does, and with what is wrong with stdin. If a Read of
// stdin blocks, the caller must end it afterwards.
func Run(ctx context.Context, host hostscript.Runner, c Command, stdin io.Reader, stdout, stderr io.Writer) (status int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	input, feed := io.Pipe()
	defer input.Close()
	defer feed.Close()
	go func() { // ends with stdin, or with the pipe
		defer crash.Guard()
		if err := pieces(stdin, feed); err != nil {
			cancel(err)
		}
	}()
	head := fmt.Sprintf("%s %d\n%srun\n", c.by, len(c.line), c.line)
	err = hostscript.Run(ctx, host, hostscript.Call{
		Script: hostScript, Stdin: io.MultiReader(strings.NewReader(head), input), Stdout: stdout, Stderr: stderr,
	})
	var shell *hostscript.ShellError
	var exit interface{ ExitStatus() int }
	if !errors.As(err, &shell) && errors.As(err, &exit) && exit.ExitStatus() > 0 {
		return exit.ExitStatus(), nil
	}
	return 0, err
}

// pieceSize is how much input goes in one piece, in bytes.
const pieceSize = 256 << 10

// pieces writes an input as host.sh reads it, and returns why that is not all of
// the input. Its end is not the end of what is written: that would end the command.
func pieces(from io.Reader, to io.Writer) error {
	if from == nil {
		from = bytes.NewReader(nil)
	}
	out, piece := bufio.NewWriterSize(to, pieceSize+32), make([]byte, pieceSize)
	for {
		n, err := from.Read(piece)
		if n > 0 {
			fmt.Fprintf(out, "%d\n", n)
			out.Write(piece[:n])
		}
		if errors.Is(err, io.EOF) {
			out.WriteString("end\n")
		}
		switch {
		case out.Flush() != nil, errors.Is(err, io.EOF): // nobody reads, or all is read
			return nil
		case err != nil:
			return err
		}
	}
}
