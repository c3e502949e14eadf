package keysource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/child"
	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// pipeGrace is how long a command's output may stay open after its end, held
// by a program that it left behind.
const pipeGrace = 2 * time.Second

// printed is what a command that ended well has printed.
type printed struct {
	content []byte
	said    string // of stderr, as errors show it
}

// command is what a key's command prints.
func (r *Resolver) command(ctx context.Context, key hive.Key, tell teller, works *working) (content secret.Secret, err error) {
	if err := findProgram(key.Command); err != nil {
		return secret.Secret{}, err
	}
	var out printed
	if key.Shared {
		var run *sharedRun
		run, out, err = r.sharedCommand(ctx, key, tell, works)
		defer func() {
			if err != nil {
				err = &runError{run, err}
			}
		}()
	} else {
		out, err = r.execute(ctx, key, tell, func() func() { return tell.waits(key, works) })
	}
	if err == nil && !key.AllowEmpty && len(bytes.TrimSpace(out.content)) == 0 {
		err = fmt.Errorf("%w: %s printed %s; if that is meant, set allowEmpty = true%s", ErrBlank, program(key.Command), blank(out.content), out.said)
	}
	if err != nil {
		return secret.Secret{}, err
	}
	return secret.New(out.content), nil
}

// waits tells of a command that a key waits for, until over.
func (t teller) waits(key hive.Key, works *working) (over func()) {
	name := program(key.Command)
	stop := t.slow("the keyCommand " + name)
	end := works.begin(fmt.Sprintf("%s: %s", key.Attr, path.Base(name)))
	return func() { end(); stop() }
}

// execute runs a keyCommand without a shell and takes its stdout. It has no stdin.
// Where there is a terminal it runs behind that, one of many, and may ask there when
// its turn has come; otherwise asking for a passphrase fails at once rather than
// waiting in the background. begun is called when it has a slot, and its result at the end.
func (r *Resolver) execute(ctx context.Context, key hive.Key, tell teller, begun func() (over func())) (printed, error) {
	release, err := take(ctx, r.commands)
	if err != nil {
		return printed{}, err
	}
	defer release()
	defer begun()()

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	limit := r.timeout(key)
	timer := time.AfterFunc(limit, func() { stop(ErrTimeout) })
	defer timer.Stop()
	stdout := &bounded{overflow: func() { stop(ErrTooLarge) }}
	stderr := &ending{}
	live := &lines{to: stderr, emit: tell.said}
	had := false
	asks := asking{
		terminal: r.Terminal, node: tell.node, key: tell.key, fail: stop, had: &had,
		wait: func() { timer.Stop() },
		begin: func(tty io.Writer) { // who types has all the time that questions have
			limit = ask.AnswerLimit
			timer.Reset(limit)
			if tty != nil {
				had = true
				live.show(tty)
			}
		},
	}
	err = r.run(ctx, key.Command, environment(key, tell.node, os.Environ()), stdout, live, asks)
	live.flush()

	name := program(key.Command)
	said := stderr.shown(r.ShowErrors, r.Terminal == nil)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrTimeout):
		err = fmt.Errorf("%w: %s was killed after %s", ErrTimeout, name, limit)
	case errors.Is(cause, ErrTooLarge):
		return printed{}, fmt.Errorf("the output of %s is %w: at most %d bytes are sent", name, ErrTooLarge, int64(MaxSize))
	case cause != nil:
		return printed{}, cause
	case errors.Is(err, exec.ErrWaitDelay):
		return printed{}, fmt.Errorf("%w: %s ended, but a program it left behind holds its output open", ErrCommand, name)
	case err != nil:
		err = fmt.Errorf("%w: %s: %w", ErrCommand, name, err)
	default:
		return printed{stdout.content, said}, nil
	}
	return printed{}, fmt.Errorf("%w%s", err, said)
}

// What a command is told of who wants to know.
const (
	nodeVariable = "COLMENA_GO_NODE"
	keyVariable  = "COLMENA_GO_KEY"
)

// environment is a key's command's: ours, with what the key adds, and the key it runs for, which
// one that is shared is not told.
func environment(key hive.Key, node string, ours []string) []string {
	list := slices.DeleteFunc(slices.Clone(ours), func(variable string) bool {
		return strings.HasPrefix(variable, nodeVariable+"=") || strings.HasPrefix(variable, keyVariable+"=")
	})
	list = append(list, key.Environment...)
	if !key.Shared {
		list = append(list, nodeVariable+"="+node, keyVariable+"="+key.Attr)
	}
	return list
}

// run runs the command in a process group of its own, which can be killed whole:
// behind the terminal if there is one, or else in a session that has none. Unless it
// ends well, nothing that it started is left when no command runs any more.
func (r *Resolver) run(ctx context.Context, argv, environment []string, stdout, stderr io.Writer, asks asking) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = environment
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if asks.terminal != nil {
		defer asks.terminal.Guard()()
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Env = withTTY(environment)
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = pipeGrace
	cmd.Stdout, cmd.Stderr = crash.Writer(stdout), crash.Writer(stderr)
	mark := child.NewMark()
	mark.Put(cmd)
	r.strays.begin()
	defer r.strays.done()
	forget := mark.Keep()
	attended := func() {}
	err := child.Run(cmd, syscall.SIGKILL, func(pid int) { attended = asks.attend(ctx, pid) })
	attended()
	asks.hear(cmd)
	if cmd.Process == nil || err == nil {
		forget()
		return err
	}
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	r.strays.leave(mark, forget)
	return err
}

// program is what a command goes by in messages. Of a first word that holds
// white space or = only the beginning is shown: it may be a whole command line,
// with what must not be seen.
func program(argv []string) string {
	if i := strings.IndexFunc(argv[0], func(r rune) bool { return r == '=' || unicode.IsSpace(r) }); i >= 0 {
		return unlike(argv[0][:i]) + " …"
	}
	return argv[0]
}

// longestWord is how many bytes of a first word are shown that leads nowhere.
const longestWord = 16

// unlike is a first word that need not be a program's: a long one without a path
// may be the secret itself.
func unlike(word string) string {
	for _, path := range []string{"/", "./", "../"} {
		if strings.HasPrefix(word, path) {
			return word
		}
	}
	if len(word) <= longestWord {
		return word
	}
	return fmt.Sprintf("a word of %d bytes", len(word))
}

func blank(content []byte) string {
	if len(content) == 0 {
		return "nothing"
	}
	return "only white space"
}

// bounded keeps at most MaxSize bytes.
type bounded struct {
	content  []byte
	overflow func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(b.content)+len(p) > MaxSize {
		b.overflow()
		return 0, ErrTooLarge
	}
	b.content = append(b.content, p...)
	return len(p), nil
}
