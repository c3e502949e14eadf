//go:build linux

package keysource

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/report"
	"github.com/colmena-go/colmena-go/tests/lacking"
	"github.com/colmena-go/colmena-go/tests/typist"
)

// roleEnv has the test's own binary resolve keys on a terminal.
const roleEnv = "COLMENA_GO_KEYSOURCE_TEST"

func init() {
	if role := os.Getenv(roleEnv); role != "" {
		resolves(role)
		os.Exit(0)
	}
}

// Ways to ask.
const (
	onTTY    = `printf 'PIN: ' >/dev/tty; read -r pin </dev/tty; printf %s "$pin"`
	unseen   = `exec 3<>/dev/tty; stty -echo <&3; printf 'PIN: ' >&3; read -r pin <&3; stty echo <&3; printf %s "$pin"`
	onStderr = `read -rp 'PIN: ' pin </dev/tty; echo thanks >&2; printf %s "$pin"`
)

// commands of keys, by role.
var roles = map[string][]hive.Key{
	"one":    {command("sh", "-c", onTTY)},
	"unseen": {command("sh", "-c", unseen)},
	"stderr": {command("bash", "-c", onStderr)},
	"deep":   {command("sh", "-c", `echo "$(sh -c 'read -r pin </dev/tty; echo "$pin"' | cat)"`)},
	"many": {
		command("sh", "-c", onTTY), command("sh", "-c", onTTY), command("sh", "-c", onTTY),
		command("sh", "-c", "echo quick"), command("sh", "-c", "echo noise >&2; sleep 0.2; echo slow"),
	},
	"slow": {command("sh", "-c", onTTY)},
	"gpg": {
		command("gpg", "--quiet", "--decrypt", "secret.gpg"),
		command("sh", "-c", "for i in 1 2 3 4 5 6; do echo noise >&2; sleep 0.5; done; echo slow"),
	},
	"130":   {command("sh", "-c", "exit 130"), command("sh", "-c", "sleep 0.3; echo v")},
	"stays": {command("sh", "-c", onTTY+`; trap '' HUP TERM; sleep 60`)},
}

func resolves(role string) {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	screen := report.NewTerminal(os.Stderr)
	asker := ask.New(screen, func(text string) { screen.Print("note: " + text + "\n") })
	r := &Resolver{Terminal: asker, Said: func(node, key, line string) { screen.Print(node + " " + key + " said " + line + "\n") }}
	if role == "slow" {
		r.Timeout = time.Second // until it asks; then people have theirs
	}
	node := hive.Node{Name: "web"}
	for i, key := range roles[role] {
		key.Attr = fmt.Sprint("k", i)
		node.Keys = append(node.Keys, key)
	}
	contents, err := r.Resolve(ctx, node, func(string) {})
	asker.Close(context.Background())
	for _, key := range node.Keys {
		screen.Print(fmt.Sprintf("%s is %q\n", key.Attr, contents[key.Attr].Reveal()))
	}
	screen.Print(fmt.Sprintf("end: %v, interrupted %v\n", err, ctx.Err() != nil))
	screen.Close(context.Background())
}

func resolving(t *testing.T, role string) *typist.Session {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+role, "GORACE=atexit_sleep_ms=0")
	return typist.Start(t, cmd)
}

func TestACommandMayAskOnTheTerminal(t *testing.T) {
	for _, role := range []string{"one", "unseen", "stderr", "deep", "slow"} {
		s := resolving(t, role)
		s.Await("web | the keyCommand of key \"k0\" asks:\n")
		if role != "deep" {
			s.Await("PIN: ")
		}
		if role == "slow" {
			time.Sleep(1500 * time.Millisecond) // longer than it may take by itself
		}
		if role == "unseen" {
			for s.Echoes() {
				time.Sleep(10 * time.Millisecond)
			}
		}
		s.Type("1234\n")
		if role == "stderr" {
			s.Await("thanks")
		}
		s.Await("k0 is \"1234")
		s.Await("end: <nil>, interrupted false")
		if code := s.Wait(); code != 0 || role == "unseen" && strings.Count(s.Shown(), "1234") != 1 {
			t.Errorf("%s: exit %d", role, code)
		}
	}
}

// Whoever types to one must not answer another; who asks nothing does not wait.
func TestCommandsAskOneAfterTheOther(t *testing.T) {
	s := resolving(t, "many")
	var order []string
	for range 3 {
		s.Await("the keyCommand of key \"k")
		key := "k" + s.Await("\" asks:\n")
		if before := s.Await("PIN: "); strings.Contains(before, "PIN") {
			t.Error("two ask at once")
		}
		order = append(order, key)
		s.Type("of " + key + "\n")
	}
	s.Await("end: <nil>")
	slices.Sort(order)
	for i, key := range []string{"k0", "k1", "k2"} {
		if order[i] != key || !strings.Contains(s.Shown(), fmt.Sprintf("%s is %q\n", key, "of "+key)) {
			t.Errorf("%s: asked %q", key, order)
		}
	}
	for _, line := range []string{"k3 is \"quick\\n\"", "k4 is \"slow\\n\"", "web k4 said noise"} {
		if !strings.Contains(s.Shown(), line) {
			t.Errorf("no line %s", line)
		}
	}
}

func TestAnInterruptEndsACommandThatAsksAndTheProgram(t *testing.T) {
	for name, end := range map[string]func(s *typist.Session){
		"^C":      func(s *typist.Session) { s.Type("half\x03") },
		"SIGTERM": func(s *typist.Session) { syscall.Kill(s.Cmd.Process.Pid, syscall.SIGTERM) },
	} {
		s := resolving(t, "unseen")
		s.Await("PIN: ")
		for s.Echoes() {
			time.Sleep(10 * time.Millisecond)
		}
		end(s)
		s.Await("end: ")
		s.Await("interrupted true")
		if !s.Echoes() {
			t.Errorf("%s: what is typed is not seen any more", name)
		}
		s.Wait()
	}
}

func TestACommandThatNobodyInterruptedInterruptsNobody(t *testing.T) {
	s := resolving(t, "130")
	s.Await("exit status 130")
	s.Await("interrupted false")
	s.Wait()
}

// The shell has the terminal as it was, and its jobs may write to it.
func TestACommandThatAsksIsStoppedWithTheProgramAndContinued(t *testing.T) {
	cmd := exec.Command("bash", "--norc", "--noprofile", "-i")
	cmd.Env = append(os.Environ(), roleEnv+"=one", "PS1=shell> ", "GORACE=atexit_sleep_ms=0", "TERM=dumb")
	s := typist.Start(t, cmd)
	s.Await("shell> ")
	s.Type(os.Args[0] + "\n")
	s.Await("PIN: ")
	time.Sleep(300 * time.Millisecond) // it has just been continued
	s.Type("\x1a")
	s.Await("Stopped")
	s.Await("shell> ")
	s.Type("fg\n")
	s.Await(os.Args[0])
	time.Sleep(500 * time.Millisecond) // no sign is given that it may be typed to again
	s.Type("1234\n")
	s.Await("k0 is \"1234\"")
	s.Await("shell> ")
	s.Type("stty -a | grep -ow -- '-tostop' || echo guarded; exit\n")
	s.Await("\n-tostop\n")
	s.Wait()
}

// gpg-agent has pinentry ask, in a session that is not ours.
func TestPinentryHasTheTerminalForItself(t *testing.T) {
	for _, name := range []string{"gpg", "pinentry-curses", "gpgconf"} {
		if _, err := exec.LookPath(name); err != nil {
			lacking.Skip(t, name+" is not installed")
		}
	}
	home, err := os.MkdirTemp("", "gpg") // short: the agent's socket is in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd := exec.Command("gpgconf", "--kill", "gpg-agent")
		cmd.Env = append(os.Environ(), "GNUPGHOME="+home)
		cmd.Run()
		os.RemoveAll(home)
	})
	make := exec.Command("sh", "-ec", `chmod 700 .; which pinentry-curses | sed 's/^/pinentry-program /' >gpg-agent.conf
printf 1234 | gpg --quiet --batch --pinentry-mode loopback --passphrase 'open sesame' -o secret.gpg --symmetric; gpgconf --kill gpg-agent`)
	make.Dir, make.Env = home, append(os.Environ(), "GNUPGHOME="+home)
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	cmd := exec.Command(os.Args[0])
	cmd.Dir = home
	cmd.Env = append(os.Environ(), roleEnv+"=gpg", "GNUPGHOME="+home, "TERM=vt100", "GORACE=atexit_sleep_ms=0")
	s := typist.Start(t, cmd)
	s.Await("Passphrase")
	time.Sleep(time.Second) // in which the other command prints
	drawn := s.Shown()
	time.Sleep(1500 * time.Millisecond)
	if more := strings.TrimPrefix(s.Shown(), drawn); more != "" {
		t.Errorf("written over what pinentry has drawn: %q", more)
	}
	s.Type("open sesame\r")
	s.Await("k0 is \"1234\"")
	s.Await("end: <nil>")
	s.Wait()
	if strings.Count(s.Shown(), "said noise") != 6 {
		t.Error("what was printed meanwhile is lost")
	}
}
