package ask

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/colmena-go/colmena-go/pkg/report"
	"github.com/colmena-go/colmena-go/tests/typist"
)

// roleEnv has the test's own binary ask, in the ways that a test wants it to.
const roleEnv = "COLMENA_GO_ASK_TEST"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		asks(role)
		return
	}
	goleak.VerifyTestMain(m)
}

// asks is a program that asks as a deployment does.
func asks(role string) {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	screen := report.NewTerminal(os.Stderr)
	a := New(screen, func(text string) { screen.Print("note: " + text + "\n") })
	defer screen.Close(context.Background())
	q := Question{Who: "web", Text: "password of ops"}
	switch role {
	case "many":
		var all sync.WaitGroup
		for _, node := range []string{"a", "b", "c"} {
			all.Go(func() {
				answer, err := a.Ask(ctx, Question{Who: node, Text: "password"})
				screen.Print(fmt.Sprintf("%s got %q %v\n", node, answer.Reveal(), err))
			})
		}
		all.Wait()
		return
	case "busy":
		go func() {
			for i := 0; ctx.Err() == nil; i++ {
				screen.Print(fmt.Sprintf("line %d\n", i))
				time.Sleep(time.Millisecond)
			}
		}()
	case "heard":
		q.Heard = "Code from\x1b[2J your\u2800\n\"phone\" " + strings.Repeat("x", 9000)
	case "echo":
		q.Echo = true
	case "keys":
		pressed := make(chan error, 1)
		go func() { pressed <- a.AwaitKey(ctx, "qQ") }()
		time.Sleep(3 * pressLook) // it listens
		answer, err := a.Ask(ctx, q)
		fmt.Printf("got %q, %v\n", answer.Reveal(), err)
		fmt.Println("pressed:", <-pressed)
		return
	case "lend":
		err := a.Lend(ctx, "web", `key "pin" asks`, func(ctx context.Context, tty *os.File) error {
			cmd := exec.Command("sh", "-c", "stty -echo; printf 'PIN: '; read -r pin; echo \"pin is $pin\"")
			cmd.Stdin, cmd.Stdout = tty, tty
			return cmd.Run()
		})
		fmt.Println("lent:", err)
		return
	}
	answer, err := a.Ask(ctx, q)
	cancel()
	screen.Settle(context.Background())
	fmt.Printf("got %q, %v\n", answer.Reveal(), err)
	answer.Wipe()
	if strings.Trim(string(answer.Reveal()), "\x00") != "" {
		fmt.Println("not wiped")
	}
}

// asking is the program on a terminal.
func asking(t *testing.T, role string) *typist.Session {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+role, "GORACE=atexit_sleep_ms=0", "SSH_ASKPASS=", "SUDO_ASKPASS=", "SSH_ASKPASS_REQUIRE=")
	return typist.Start(t, cmd)
}

const prompt = "web | password of ops: "

func TestAnAnswerIsTypedUnseen(t *testing.T) {
	s := asking(t, "plain")
	s.Await(prompt)
	s.Type("open sesame\n")
	s.Await(`got "open sesame", <nil>`)
	if s.Wait() != 0 || strings.Count(s.Shown(), "sesame") != 1 || strings.Contains(s.Shown(), "not wiped") {
		t.Error(s.Shown())
	}
}

func TestAKeyIsHeardBesideQuestionsAndTakesNothingFromThem(t *testing.T) {
	s := asking(t, "keys")
	s.Await(prompt)
	s.Type("quite a secret\n")
	s.Await(`got "quite a secret", <nil>`)
	if strings.Contains(s.Shown(), "pressed") {
		t.Fatal("a letter of the answer is taken for a key")
	}
	unseen := func() bool { return !s.Echoes() }
	for end := time.Now().Add(20 * time.Second); !unseen() && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
	}
	s.Type("xyq")
	s.Await("pressed: <nil>")
	if s.Wait() != 0 || strings.Contains(s.Shown(), "xy") || !s.Echoes() {
		t.Errorf("the terminal is not as it was: %s", s.Shown())
	}

	s = asking(t, "keys")
	s.Await(prompt)
	s.Type("\x04")
	for end := time.Now().Add(20 * time.Second); !unseen() && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
	}
	s.Type("\x03")
	s.Await("pressed: ")
	if s.Wait(); !s.Echoes() {
		t.Error("the terminal is not as it was")
	}
}

func TestAnAnswerThatMayBeSeenIs(t *testing.T) {
	s := asking(t, "echo")
	s.Await(prompt)
	s.Type("yes\n")
	s.Await("yes\ngot \"yes\"")
}

func TestWhatIsEmptyAndWhatIsNoAnswer(t *testing.T) {
	for typed, says := range map[string]string{
		"\n":                               `got "", <nil>`,
		"\x04":                             `got "", no answer was given`,
		"tail\x04\x04":                     `got "tail", <nil>`,
		"wrong\x15right\n":                 `got "right", <nil>`,
		"\x1c\n":                           `got "\x1c", <nil>`, // ^\ ends nothing
		strings.Repeat("x", 4000) + "\n":   `got "xxx`,
		strings.Repeat("x", 5000) + "\n\n": `got "xxx`, // the terminal keeps no more of a line
	} {
		s := asking(t, "plain")
		s.Await(prompt)
		s.Type(typed)
		s.Await(says)
	}
}

// However a question ends, the terminal is as it was, and what was typed of an
// answer is not left for the shell.
func TestTheTerminalIsLeftAsItWas(t *testing.T) {
	for name, end := range map[string]func(s *typist.Session, program int){
		"^C":      func(s *typist.Session, _ int) { s.Type("\x03") },
		"SIGTERM": func(_ *typist.Session, program int) { syscall.Kill(program, syscall.SIGTERM) },
		"SIGQUIT": func(_ *typist.Session, program int) { syscall.Kill(program, syscall.SIGQUIT) },
		"SIGHUP":  func(_ *typist.Session, program int) { syscall.Kill(program, syscall.SIGHUP) },
	} {
		t.Run(name, func(t *testing.T) {
			shell := exec.Command("sh", "-c", `trap : INT; sh -c 'echo "pid $$"; exec "$1"' sh "$1"; echo over; read -r left; echo "left: $left"`, "sh", os.Args[0])
			shell.Env = append(os.Environ(), roleEnv+"=plain", "GORACE=atexit_sleep_ms=0")
			s := typist.Start(t, shell)
			s.Await("pid ")
			var program int
			fmt.Sscan(s.Await("\n"), &program)
			s.Await(prompt)
			if s.Echoes() {
				t.Error("what is typed is seen")
			}
			s.Type("half a pass")
			time.Sleep(50 * time.Millisecond) // it is on its way whatever happens
			end(s, program)
			s.Await("over")
			if !s.Echoes() {
				t.Error("what is typed is not seen after the end")
			}
			s.Type("a command\n")
			s.Await("left: a command")
		})
	}
}

func TestAQuestionIsAskedAgainAfterAPause(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed")
	}
	cmd := exec.Command("bash", "--norc", "--noprofile", "-i")
	cmd.Env = append(os.Environ(), roleEnv+"=plain", "PS1=shell> ", "GORACE=atexit_sleep_ms=0", "TERM=dumb")
	s := typist.Start(t, cmd)
	s.Await("shell> ")
	s.Type(os.Args[0] + "\n")
	s.Await(prompt)
	s.Type("half\x1a")
	s.Await("Stopped")
	s.Await("shell> ")
	s.Type("stty -a | grep -ow -- '-echo' || echo seen; bg\n")
	s.Await("\nseen\n")
	s.Await("note: a question waits until the program is brought to the foreground (fg)")
	s.Type("fg\n")
	s.Await(prompt)
	s.Type("whole\n")
	s.Await(`got "whole", <nil>`)
	s.Await("shell> ")
	s.Type("exit\n")
	s.Wait()
}

func TestQuestionsAreAskedOneAtATime(t *testing.T) {
	s := asking(t, "many")
	for range 3 {
		node := s.Await(" | password: ")
		node = node[len(node)-1:]
		s.Type("of " + node + "\n")
	}
	s.Wait()
	for _, node := range []string{"a", "b", "c"} {
		if !strings.Contains(s.Shown(), fmt.Sprintf("%s got %q <nil>\n", node, "of "+node)) {
			t.Errorf("%s has another answer", node)
		}
	}
}

func TestNothingElseIsShownMeanwhileAndNothingIsLost(t *testing.T) {
	s := asking(t, "busy")
	s.Await(prompt)
	time.Sleep(200 * time.Millisecond) // in which many lines are printed
	s.Type("x\n")
	s.Await("got")
	s.Wait()
	lines := strings.Split(s.Shown(), "\n")
	next := 0
	for i, line := range lines {
		if line == fmt.Sprintf("line %d", next) {
			next++
		} else if line != strings.TrimSpace(prompt) && !strings.HasPrefix(line, prompt) && !strings.HasPrefix(line, "got") && line != "" {
			t.Fatalf("line %d is %q, want line %d", i, line, next)
		}
	}
	if next < 20 {
		t.Errorf("only %d lines", next)
	}
}

func TestWordsOfAHostAreToldApartAndObeyedByNobody(t *testing.T) {
	s := asking(t, "heard")
	before := s.Await(prompt)
	if !strings.Contains(before, `web | the host says: "Code from[2J your 'phone' xxx`) || len(before) > 2*MaxText {
		t.Errorf("%q", before)
	}
	s.Type("1\n")
	s.Await("got")
}

func TestAProgramHasTheTerminalForItself(t *testing.T) {
	s := asking(t, "lend")
	s.Await("web | key \"pin\" asks\n")
	s.Await("PIN: ")
	s.Type("1234\n")
	s.Await("pin is 1234\n")
	s.Await("lent: <nil>")
	if !s.Echoes() {
		t.Error("what the program did to the terminal was not undone")
	}
}

// without is an Asker without a terminal.
func without(t *testing.T, env map[string]string) *Asker {
	t.Helper()
	a := New(nil, nil)
	a.getenv = func(name string) string { return env[name] }
	a.open = func() (*os.File, error) { return nil, syscall.ENXIO }
	t.Cleanup(func() { a.Close(context.Background()) })
	return a
}

func program(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "askpass")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAProgramAnswersWhereThereIsNoTerminal(t *testing.T) {
	prompts := filepath.Join(t.TempDir(), "prompts")
	ssh, sudo := program(t, `echo "$1" >>`+prompts+`; echo of ssh; echo more`), program(t, "printf 'of sudo'")
	for _, c := range []struct {
		name, require string
		kind          Kind
		env           map[string]string
		want          string
		err           error
		says          string
	}{
		{"ssh", "", Login, map[string]string{"SSH_ASKPASS": ssh, "SUDO_ASKPASS": sudo}, "of ssh", nil, ""},
		{"sudo", "", Root, map[string]string{"SSH_ASKPASS": ssh, "SUDO_ASKPASS": sudo}, "of sudo", nil, ""},
		{"none", "", Root, map[string]string{"SSH_ASKPASS": ssh}, "", ErrNobody, "there is no terminal, and SUDO_ASKPASS names no program"},
		{"never", "never", Login, map[string]string{"SSH_ASKPASS": ssh}, "", ErrNobody, "there is no terminal"},
		{"forced, but none", "force", Login, nil, "", ErrNobody, "SSH_ASKPASS names no program"},
		{"failed", "", Login, map[string]string{"SSH_ASKPASS": program(t, "echo part; exit 1")}, "", ErrNoAnswer, "ended with exit status 1"},
		{"absent", "", Login, map[string]string{"SSH_ASKPASS": "/nowhere/askpass"}, "", ErrNobody, "/nowhere/askpass cannot be started, which SSH_ASKPASS names"},
		{"endless", "", Login, map[string]string{"SSH_ASKPASS": program(t, "head -c 100000 /dev/zero")}, "", ErrNoAnswer, "longer than"},
	} {
		if c.env == nil {
			c.env = map[string]string{}
		}
		c.env["SSH_ASKPASS_REQUIRE"] = c.require
		answer, err := without(t, c.env).Ask(t.Context(), Question{Kind: c.kind, Who: "web", Text: "password"})
		if string(answer.Reveal()) != c.want || !errors.Is(err, c.err) || c.says != "" && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q, %v", c.name, answer.Reveal(), err)
		}
	}
	if text, _ := os.ReadFile(prompts); string(text) != "web | password: \n" {
		t.Errorf("asked with %q", text)
	}
}

func TestWhoWaitsForAnAnswerIsTold(t *testing.T) {
	program := filepath.Join(t.TempDir(), "askpass")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho answer\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	a := New(nil, nil)
	a.open = func() (*os.File, error) { return nil, os.ErrNotExist }
	a.getenv = func(name string) string { return map[string]string{"SSH_ASKPASS": program}[name] }
	var told []string
	a.Watch(func(who, what string) { told = append(told, who+" "+what) })
	for _, who := range []string{"", "web"} {
		if _, err := a.Ask(t.Context(), Question{Who: who, Text: "password of ops"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(told, "; "); got != "web waits for an answer: password of ops; web " {
		t.Errorf("told %q", got)
	}
}

func TestAProgramIsPreferredOnRequest(t *testing.T) {
	pass := program(t, "echo v")
	for require, terminal := range map[string]bool{"": true, "never": true, "prefer": false, "force": false, "FORCE": false} {
		a := New(nil, nil)
		a.getenv = func(name string) string {
			return map[string]string{"SSH_ASKPASS": pass, "SSH_ASKPASS_REQUIRE": require}[name]
		}
		a.open = func() (*os.File, error) { return os.Open(os.DevNull) }
		if _, tty, err := a.source(Login); err != nil || tty != terminal {
			t.Errorf("%q: terminal %v, %v", require, tty, err)
		}
	}
}

func TestAProgramThatHangsEndsWithTheContext(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	a := without(t, map[string]string{"SSH_ASKPASS": program(t, "sleep 60")})
	time.AfterFunc(100*time.Millisecond, func() { cancel(why) })
	begin := time.Now()
	if _, err := a.Ask(ctx, Question{}); !errors.Is(err, why) || time.Since(begin) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

func TestNobodyIsAskedAfterTheEnd(t *testing.T) {
	asked := filepath.Join(t.TempDir(), "asked")
	a := without(t, map[string]string{"SSH_ASKPASS": program(t, "echo >"+asked+"; sleep 60")})
	failed := make(chan error)
	go func() {
		_, err := a.Ask(t.Context(), Question{})
		failed <- err
	}()
	for range 1000 {
		if _, err := os.Stat(asked); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	a.end(errClosed)
	if err := <-failed; !errors.Is(err, errClosed) {
		t.Error(err)
	}
	a.Close(t.Context())
	a.Close(t.Context())
	if _, err := a.Ask(t.Context(), Question{}); !errors.Is(err, errClosed) {
		t.Error("asked after the end:", err)
	}
	var nobody *Asker
	if _, err := nobody.Ask(t.Context(), Question{}); !errors.Is(err, ErrNobody) || !errors.Is(nobody.Can(Root), ErrNobody) {
		t.Error(err)
	}
	nobody.Close(t.Context())
}
