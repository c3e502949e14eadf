package shell

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The host here is this machine; tests/hosts has real ones, over SSH.

// shells runs a test with each shell that is sh somewhere.
func shells(t *testing.T, test func(t *testing.T, host hostscript.Runner)) {
	for _, name := range []string{"dash", "bash"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Symlink(path, filepath.Join(dir, "sh")); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
			t.Setenv("SHELL", path)
			host, err := local.Open(t.Context(), local.Config{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { host.Close() })
			test(t, host)
		})
	}
}

func TestACommandIsReadByTheLoginShell(t *testing.T) {
	t.Setenv("WHO", "me you")
	shells(t, func(t *testing.T, host hostscript.Runner) {
		for _, c := range []struct {
			name    string
			command Command
			want    string
		}{
			{"words are joined and expanded", Line([]string{"printf", "[%s]", "$WHO", "a  b"}), "[me][you][a][b]"},
			{"so are lines", Line([]string{"echo a;\necho 'b'"}), "a\nb\n"},
			{"exact ones are neither", Exact([]string{"printf", "<%s>", "$WHO", "a  b", "it's", "", "line\n\n"}), "<$WHO><a  b><it's><><line\n\n>"},
			{"no input", Line([]string{"cat; echo end"}), "end\n"},
		} {
			var out bytes.Buffer
			if status, err := Run(t.Context(), host, c.command, nil, &out, nil); err != nil || status != 0 || out.String() != c.want {
				t.Errorf("%s: %q, %v; want %q", c.name, out.String(), err, c.want)
			}
		}
		var out, errs bytes.Buffer
		status, err := Run(t.Context(), host, Line([]string{"echo out; echo err >&2; exit 3"}), nil, &out, &errs)
		if err != nil || status != 3 || out.String() != "out\n" || errs.String() != "err\n" {
			t.Errorf("%v: %q %q", err, out.String(), errs.String())
		}
		if status, err := Run(t.Context(), host, Line([]string{"exit 1"}), nil, nil, nil); err != nil || status != 1 {
			t.Errorf("a command that fails: %d, %v", status, err)
		}
		if status, err := Run(t.Context(), host, Line([]string{"kill -KILL $$"}), nil, nil, nil); err != nil || status != 128+9 {
			t.Errorf("a command that is killed: %d, %v", status, err)
		}
		if status, err := Run(t.Context(), host, Exact([]string{"no-such-program"}), nil, nil, nil); err != nil || status != 127 {
			t.Errorf("a program that is not there: %d, %v", status, err)
		}
		out.Reset()
		// Bits 2 and 3 of SigIgn are SIGINT and SIGQUIT.
		if _, err := Run(t.Context(), host, Line([]string{"grep SigIgn /proc/self/status"}), nil, &out, nil); err != nil || strings.ContainsAny(strings.TrimSpace(out.String())[len(out.String())-2:], "2367abef") {
			t.Errorf("signals are ignored: %v, %s", err, out.String())
		}
	})
}

func TestACommandGetsItsWholeInputAndItsEnd(t *testing.T) {
	big := bytes.Repeat([]byte("\x00\xff\nend\n12\n"), 200_000)
	shells(t, func(t *testing.T, host hostscript.Runner) {
		var out bytes.Buffer
		if _, err := Run(t.Context(), host, Line([]string{"cat"}), bytes.NewReader(big), &out, nil); err != nil || !bytes.Equal(out.Bytes(), big) {
			t.Errorf("%v: %d of %d bytes", err, out.Len(), len(big))
		}
		out.Reset()
		// One that has enough is not held up by what it does not take.
		if _, err := Run(t.Context(), host, Line([]string{"head -c 3; exec <&-; sleep 0.3; echo done"}), bytes.NewReader(big), &out, nil); err != nil || out.String() != "\x00\xff\ndone\n" {
			t.Errorf("%v: %q", err, out.String())
		}
		broken := io.MultiReader(strings.NewReader("half"), failing{})
		if _, err := Run(t.Context(), host, Line([]string{"cat >/dev/null; sleep 60"}), broken, nil, nil); !errors.Is(err, errBroken) {
			t.Errorf("a part of an input was taken for all of it: %v", err)
		}
	})
}

var errBroken = errors.New("the disk is broken")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errBroken }

func TestACommandEndsWithAllItStarted(t *testing.T) {
	shells(t, func(t *testing.T, host hostscript.Runner) {
		for name, command := range map[string]string{
			"at once":       `sleep 300 & echo $! >PIDS; echo $$ >>PIDS; sleep 300; :`,
			"in order":      `exec 2>/dev/null; trap 'sleep 0.5; echo tidy >PIDS.tidy; exit' TERM; echo $$ >PIDS; while :; do sleep 0.1; done`,
			"or not at all": `trap '' TERM; echo $$ >PIDS; while :; do sleep 0.2; done`,
		} {
			pids := filepath.Join(t.TempDir(), "pids")
			ctx, cancel := context.WithCancelCause(t.Context())
			began, why := time.Now(), errors.New("enough")
			go func() {
				for os.Getenv("PATH") != "" && time.Since(began) < 20*time.Second {
					if text, _ := os.ReadFile(pids); strings.HasSuffix(string(text), "\n") {
						break
					}
					time.Sleep(10 * time.Millisecond)
				}
				cancel(why)
			}()
			_, err := Run(ctx, host, Line([]string{strings.ReplaceAll(command, "PIDS", pids)}), nil, nil, nil)
			if !errors.Is(err, why) || time.Since(began) > 15*time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
			text, _ := os.ReadFile(pids)
			for _, pid := range strings.Fields(string(text)) {
				for end := time.Now().Add(20 * time.Second); alive(pid); time.Sleep(20 * time.Millisecond) {
					if time.Now().After(end) {
						t.Errorf("%s: process %s goes on", name, pid)
						break
					}
				}
			}
			if _, err := os.Stat(pids + ".tidy"); name == "in order" && err != nil {
				t.Error("the command could not tidy up")
			}
		}
	})
}

// alive reports whether a process is there and no zombie.
func alive(pid string) bool {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !strings.Contains(string(text), ") Z ")
}

// A line cut short may mean something else.
func TestALineCutShortRunsNothing(t *testing.T) {
	shells(t, func(t *testing.T, host hostscript.Runner) {
		dir := t.TempDir()
		whole := "login 20\ntouch a; touch b #  \nrun\n"
		for size := range len(whole) - 1 {
			err := hostscript.Run(t.Context(), host, hostscript.Call{
				Script: append([]byte("cd "+dir+"\n"), hostScript...), Stdin: strings.NewReader(whole[:size]),
			})
			if err == nil {
				t.Errorf("%d bytes are taken for all", size)
			}
		}
		if left, _ := filepath.Glob(dir + "/*"); len(left) > 0 {
			t.Errorf("it ran: %v", left)
		}
	})
}

func TestOneInputGoesToAll(t *testing.T) {
	source, feed := io.Pipe()
	in := Share(source, 1<<20)
	ctx, cancel := context.WithCancelCause(t.Context())
	slow := in.Reader(ctx)
	texts := make(chan string)
	for range 3 {
		go func() {
			text, err := io.ReadAll(in.Reader(t.Context()))
			if err != nil {
				t.Error(err)
			}
			texts <- string(text)
		}()
	}
	for _, part := range []string{"one ", "two ", "three"} {
		io.WriteString(feed, part)
	}
	feed.Close()
	for range 3 {
		if text := <-texts; text != "one two three" {
			t.Errorf("%q", text)
		}
	}
	if text, err := io.ReadAll(slow); err != nil || string(text) != "one two three" {
		t.Errorf("later: %q, %v", text, err)
	}
	open, _ := io.Pipe()
	waiting := Share(io.MultiReader(strings.NewReader("x"), eof{open}), 10)
	go cancel(errBroken)
	if _, err := io.ReadAll(waiting.Reader(ctx)); !errors.Is(err, errBroken) {
		t.Errorf("who waits in vain: %v", err)
	}
	open.Close()
	if _, err := io.ReadAll(Share(strings.NewReader("12345678901"), 10).Reader(t.Context())); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("more than fits: %v", err)
	}
}

type eof struct{ io.Reader }
