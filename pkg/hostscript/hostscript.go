// Package hostscript has a host run a shell script that travels on the stdin of
// one command, ahead of its data, so that nothing but its length is ever on a
// command line. A script is one { ...; exit; }: cut short it is a syntax error
// and runs nothing.
package hostscript

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// Runner runs a command as root on a host; pkg/remote's Host is one. Run
// returns when the command has ended and its output was written, or when ctx is
// done, and does not wait for a Read of stdin that blocks.
type Runner interface {
	Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error
}

// Command is what a host is told to run; stdin must begin with the script. It
// means the same to every login shell: single quotes, no variable outside them.
// A limit other than zero ends the script after that time, in whole seconds and
// at least one: for timeout(1) zero means no limit.
func Command(script []byte, limit time.Duration) string {
	command := fmt.Sprintf(`sh -c 'eval "$(head -c %d)"'`, len(script))
	if limit > 0 {
		command = fmt.Sprintf("timeout %d %s", int(math.Ceil(limit.Seconds())), command)
	}
	return command
}

// List writes words for a script to read, none of which may hold a newline: a
// line with the list's length in bytes, then a word a line, the number of all
// of them first and a full stop last. A list cut short at any byte is not one.
// Without words it is the length alone.
func List(words ...string) []byte {
	if len(words) == 0 {
		return []byte("0\n")
	}
	all := make([]string, 0, len(words)+2)
	all = append(all, fmt.Sprint(len(words)+2))
	all = append(all, words...)
	all = append(all, ".")
	body := strings.Join(all, "\n")
	return fmt.Appendf(nil, "%d\n%s", len(body), body)
}

// ID names one run of a script on a host: 16 hexadecimal digits, at random.
func ID() string {
	var id [8]byte
	rand.Read(id[:]) // never fails (crypto/rand)
	return hex.EncodeToString(id[:])
}
