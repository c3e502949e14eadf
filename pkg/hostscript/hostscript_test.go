package hostscript

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/tests/hostdouble"
)

// script prints each word of its list between brackets, and what follows it.
const script = `{
read -r size || exit 1
[ "$size" != 0 ] || { echo none; exit; }
IFS='
'
set -f
set -- $(head -c "$size")
[ $# = "$1" ] || exit 1
printf '[%s]' "$@"
cat
exit
}
`

// local runs commands with a login shell of this machine, after what its
// start-up files say.
type local struct{ shell, startup string }

func (l local) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	shell := l.shell
	if shell == "" {
		shell = "sh"
	}
	cmd := exec.CommandContext(ctx, shell, "-c", l.startup+"\n"+command)
	cmd.WaitDelay = time.Second
	return hostdouble.Run(ctx, cmd, hostdouble.Streams{In: stdin, Out: stdout, Err: stderr})
}

// run runs the script on a host with input behind it.
func run(t *testing.T, host Runner, script string, limit time.Duration, input ...[]byte) (string, error) {
	t.Helper()
	var out, errs strings.Builder
	err := Run(t.Context(), host, Call{
		Script: []byte(script), Limit: limit, Stdout: &out, Stderr: &errs, Stdin: bytes.NewReader(bytes.Join(input, nil)),
	})
	return out.String(), err
}

func TestAScriptReadsItsListAndTheDataBehindIt(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  string
	}{
		{nil, "none\n"},
		{[]string{"one"}, "[3][one][.]data"},
		{[]string{"a b", "*", "$(exit 7)", "ключ", `"`}, `[7][a b][*][$(exit 7)][ключ]["][.]data`},
	} {
		for _, limit := range []time.Duration{0, time.Minute} {
			out, err := run(t, local{}, script, limit, List(c.words...), []byte("data"))
			if err != nil || out != c.want {
				t.Errorf("%q: %q, %v; want %q", c.words, out, err, c.want)
			}
		}
	}
}

func TestAScriptOrListCutShortRunsNothing(t *testing.T) {
	whole := append([]byte(script), List("one", "two")...)
	for n := range whole {
		cmd := exec.Command("sh", "-c", `sh -c '`+Eval([]byte(script))+`'`)
		cmd.Stdin = bytes.NewReader(whole[:n])
		if out, err := cmd.Output(); (err == nil && n > 0) || len(out) > 0 {
			t.Errorf("cut after byte %d: %q, %v", n, out, err)
		}
	}
}

func TestTheLimitEndsAScript(t *testing.T) {
	begin := time.Now()
	if _, err := run(t, local{}, "{\nsleep 30\nexit\n}\n", time.Second); err == nil || time.Since(begin) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

func TestALimitIsNeverRoundedToNone(t *testing.T) {
	for limit, want := range map[time.Duration]string{
		time.Nanosecond: "timeout 1 sh", time.Second: "timeout 1 sh", 1001 * time.Millisecond: "timeout 2 sh",
		2 * time.Minute: "timeout 120 sh", 0: "sh",
	} {
		if got := command(Call{Program: "x", Limit: limit}, "a", "b"); !strings.HasPrefix(got, want+" -c ") {
			t.Errorf("%v: %s, want %s", limit, got, want)
		}
	}
}

// What start-up files say before our program runs is nobody's business, however
// it comes and in whatever shell.
func TestWhatALoginShellSaysFirstDoesNotCount(t *testing.T) {
	const echo = "{\necho answer\nexit\n}\n"
	for name, startup := range map[string]string{
		"nothing": "", "a line": "echo welcome", "no end of line": "printf welcome", "on stderr": "echo welcome >&2",
		"a terminal's title": `printf "\033]0;title\007"`, "bytes": `printf "\377\000\200"`,
		"a lot": "head -c 3000000 /dev/zero", "the mark's beginning": "printf colmena-go-",
	} {
		for _, shell := range []string{"sh", "bash", "fish", "zsh"} {
			if _, err := exec.LookPath(shell); err != nil || shell == "fish" && strings.Contains(startup, `\0`) {
				continue
			}
			if out, err := run(t, local{shell, startup}, echo, 0); err != nil || out != "answer\n" {
				t.Errorf("%s, %s: %q, %v", name, shell, out, err)
			}
		}
	}
	// A shell that shows what it runs has not run it yet.
	if out, err := run(t, local{"bash", "set -v; exec 2>&1; set -x"}, echo, 0); err != nil || out != "answer\n" {
		t.Errorf("with traces: %q, %v", out, err)
	}
}

// sent records what reaches a host.
type sent struct {
	local
	got *strings.Builder
}

func (s sent) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	return s.local.Run(ctx, command, io.TeeReader(stdin, s.got), stdout, stderr)
}

func TestAShellThatRunsNothingGetsNothingAndIsQuoted(t *testing.T) {
	before := shellLimit
	shellLimit = 300 * time.Millisecond
	defer func() { shellLimit = before }()
	for startup, says := range map[string]string{
		"echo 'This account is \x1b[2Jclosed'; exit 1": "This account is [2Jclosed",
		"echo refused >&2; exit 0":                     "refused",
		"echo in a subshell; exec sh":                  "in a subshell", // waits for our input for ever
		"while :; do echo y; sleep 0.05; done":         "y y",
		"exec sleep 20":                                "nothing",
	} {
		var got strings.Builder
		begin := time.Now()
		_, err := run(t, sent{local{"bash", startup}, &got}, "{\necho secret\n}\n", 0)
		if !errors.Is(err, ErrShell) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want ErrShell with %q", startup, err, says)
		}
		if got.Len() > 0 || time.Since(begin) > 10*time.Second {
			t.Errorf("%s: %q was sent, after %v it ended", startup, got.String(), time.Since(begin))
		}
	}
}

// A start-up file can read the mark in the command.
func TestWhoOnlySaysTheMarkIsGivenUpAndQuoted(t *testing.T) {
	before := readLimit
	readLimit = 300 * time.Millisecond
	defer func() { readLimit = before }()
	const forged = `m=${BASH_EXECUTION_STRING##*sh -c \'echo }; eval "echo ${m%%;*}"; `
	for _, c := range []struct {
		behind, says string
		program      string // a question; "" for a script
	}{
		{"exec sleep 20", "nothing", ""},
		{"exec sleep 20", "nothing", "echo answer"},
		{"printf 'please wait'; exec sleep 20", "please wait", ""},
		{"echo please wait >&2; exec sleep 20", "please wait", "echo answer"},
		{"while :; do echo y; sleep 0.02; done", "y y", ""},
		{"while :; do echo y; sleep 0.02; done", "y y", "echo answer"},
		{"head -c 3; exec sleep 20", "ech", ""},
	} {
		begin := time.Now()
		call := Call{Program: c.program}
		if c.program == "" {
			call.Script = []byte("{\necho hello\nexit\n}\n")
		}
		err := Run(t.Context(), local{"bash", forged + c.behind}, call)
		if !errors.Is(err, ErrMute) || errors.Is(err, ErrShell) || !strings.Contains(err.Error(), "it says: "+c.says) || time.Since(begin) > 10*time.Second {
			t.Errorf("%s: %v after %v, want ErrMute with %q", c.behind, err, time.Since(begin), c.says)
		}
	}
}

// A word of its own is no mark: what a program of ours says first stays whole.
func TestWhatIsNotTheProofIsPassedOn(t *testing.T) {
	for _, chunks := range [][]string{{"proof\nanswer"}, {"p", "roof\n", "answer"}, {"proof", "\nans", "wer"}} {
		g := newGate(ID(), func(error) {})
		g.expect("proof")
		var out strings.Builder
		w := g.stdout(&out)
		io.WriteString(w, "welcome"+g.first+g.second+"\n")
		for _, chunk := range chunks {
			io.WriteString(w, chunk)
		}
		g.end()
		if out.String() != "answer" || !g.proven {
			t.Errorf("%q: %q", chunks, out.String())
		}
	}
	g := newGate(ID(), func(error) {})
	defer g.end()
	g.expect("proof")
	var out strings.Builder
	w := g.stdout(&out)
	io.WriteString(w, g.first+g.second+"\npro")
	io.WriteString(w, "mise\n")
	if out.String() != "promise\n" || g.proven {
		t.Errorf("%q", out.String())
	}
}

func TestTheCauseOfAnEndBeforeTheMarkIsKept(t *testing.T) {
	why := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { cancel(why) })
	if err := Run(ctx, local{"sh", "exec sleep 20"}, Call{Program: "true"}); !errors.Is(err, why) || errors.Is(err, ErrShell) {
		t.Errorf("got %v", err)
	}
}

func TestIDsDiffer(t *testing.T) {
	if a, b := ID(), ID(); a == b || len(a) != 16 {
		t.Errorf("%s, %s", a, b)
	}
}
