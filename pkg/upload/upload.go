// Package upload delivers the keys of one phase to one host over one channel:
// it looks at what the host has, plans, sends what differs, and either all of
// it takes effect or nothing does. host/ is the half that runs on the host.
package upload

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/memory"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

//go:embed host/*.sh
var rooms embed.FS

var hostScript = hostscript.Join(rooms, "host/*.sh")

// Item is a key with its resolved content, or one that the host holds.
type Item struct {
	Key     hive.Key
	Content secret.Secret
	Held    *memory.Entry // of [Holding]: the host has the content, and it is not here
}

// Request is one phase on one host.
type Request struct {
	// Root is a directory on the host that is taken for its root, "" for the root itself: that of a
	// system that has not booted yet. Nothing outside of it is read or written but for the lock.
	Root     string
	Node     string // whose keys they are, to be remembered by the host
	Keys     []Item
	Dirs     []hive.Directory // how directories are made that are missing
	Policy   plan.Policy
	Earlier  plan.Places   // where keys of earlier phases went
	Who      string        // tells another deployer who holds the host's upload lock
	LockWait time.Duration // how long to wait for that lock; zero means one minute
	Note     func(string)  // called while waiting for the lock; may be nil
	Warn     func(string)  // called when the host records what it is sent, or cannot remember it; may be nil
	Begin    func()        // called when the host is about to be changed; may be nil

	// Recall is told what the host remembers, before anything is done; it may be nil.
	Recall func(*memory.Memory)
	// Owe says which jobs a plan makes due. The host remembers them from before its first
	// change on, until [Settle] says that they are done. It may be nil.
	Owe func(plan.KeyPlan) []memory.Job

	// Units are those of which the host tells the runs once the keys are in place, as
	// systemctl says them; Runs is told that, or "". They may be nil.
	Units func(plan.KeyPlan) []string
	Runs  func(systemctl string)

	// Agree may refuse what is about to be done, before it is; it may be nil.
	Agree func(plan.KeyPlan) error
}

// Errors that callers tell apart with errors.Is.
var (
	// ErrLocked: another upload held the host's lock for longer than LockWait.
	ErrLocked = errors.New("another upload is under way on this host")
	// ErrHost: the host refused, or ended the upload before it was complete.
	// Every old key is in place.
	ErrHost = errors.New("nothing was changed")
	// ErrTorn: others changed a directory while keys were renamed into it, and
	// what was done could not all be undone: some keys are new, the others old.
	ErrTorn = errors.New("some keys are new and the others old, since somebody else changed a directory meanwhile; run again")
	// ErrUnknown: the host did not answer after the last byte was sent, or not as
	// it should: it has either every old key or every new one.
	ErrUnknown = errors.New("the host does not confirm the upload: it has either all old or all new keys; run again to be sure")
)

// Run delivers the keys: it looks, plans, and commits what differs. The returned plan says what became of each; with an
// error it is nil. It fails with [*plan.NotHeldError], before anything is changed, where the
// content of a held key is needed after all. When ctx is done before the last byte is sent, nothing on the
// host changes and Run fails with its cause; after that ctx is not obeyed. Secrets and digests travel
// on the command's stdin and stdout only, and no error holds one.
func Run(ctx context.Context, host hostscript.Runner, req Request) (plan.KeyPlan, error) {
	if len(req.Keys) == 0 {
		return nil, nil
	}
	req.setDefaults()
	wanted, content, size := contents(req.Keys)
	limit := deadline(req, size)
	running, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	stopObeying := context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })
	defer stopObeying()
	c, stop := begin(running, host, limit, errLate(limit))
	defer stop()

	dirs := byDirectory(wanted)
	seen, err := c.look(req, hostscript.ID(), dirs)
	if err != nil {
		return nil, err
	}
	if req.Recall != nil {
		req.Recall(&seen.Memory)
	}
	steps, ways, err := req.plan(wanted, seen)
	if err == nil && req.Agree != nil {
		err = req.Agree(steps)
	}
	if err != nil {
		return nil, err
	}
	edit := afterwards(req.Node, &seen.Memory, steps)
	if req.Owe != nil {
		edit.Owe = req.Owe(steps)
	}
	if req.Units != nil {
		c.send(askRuns(req.Units(steps)))
	}
	todo, err := doList(ways, blocks(dirs, seen, steps), content, edit)
	if err != nil {
		return nil, err
	}
	// The host does nothing without the last byte: until then it can be stopped.
	rest, last := withoutLast(todo)
	sent := c.sendParts(running, rest)
	if !stopObeying() {
		return nil, context.Cause(ctx)
	}
	if err := c.noSource(sent); err != nil {
		return nil, err
	}
	idle := steps.Idle() && !slices.ContainsFunc(ways, plan.DirectoryStep.Given)
	if req.Begin != nil && !idle {
		req.Begin()
	}
	if sent == nil {
		sent = c.send(last)
	}
	kept, err := readDone(c.out, ways, req.Warn, req.Runs)
	if err != nil {
		err = c.explain(err, dirs)
		var refused *refusal
		if sent == nil && !errors.As(err, &refused) && !idle {
			err = fmt.Errorf("%w (%w)", ErrUnknown, err)
		}
		return nil, err
	}
	if len(kept) > 0 {
		return nil, c.notGiven(kept)
	}
	return steps, nil
}

func (r *Request) setDefaults() {
	if r.LockWait == 0 {
		r.LockWait = time.Minute
	}
}

// plan says what is to be done for the keys, where the content of every key that is sent is
// here, and for directories on the way to them.
func (req Request) plan(wanted []plan.WantedKey, seen plan.Observed) (plan.KeyPlan, []plan.DirectoryStep, error) {
	wanted, err := plan.Held(wanted, seen)
	if err != nil {
		return nil, nil, err
	}
	policy := req.Policy
	policy.Anew = policy.Anew || req.Root != ""
	steps, err := plan.Keys(wanted, seen, policy, req.Earlier)
	if err == nil {
		err = steps.NeedsContent()
	}
	if err != nil {
		return nil, nil, err
	}
	ways, err := steps.Directories(req.Dirs, seen, req.Policy)
	return steps, ways, err
}

// ways are the directories that are on the way to a key.
func (req Request) ways() []hive.Directory {
	return slices.DeleteFunc(slices.Clone(req.Dirs), func(dir hive.Directory) bool {
		return !slices.ContainsFunc(req.Keys, func(item Item) bool { return dir.Leads(item.Key.DestDir) })
	})
}

// look asks the host what it has, and leaves the channel open for what is to be done.
func (c *channel) look(req Request, stage string, dirs []directory) (plan.Observed, error) {
	c.send(lookList(req, stage, dirs).bytes())
	seen, err := readLook(c.out, dirs, req.ways(), req.Note, req.Warn)
	if err != nil {
		return seen, c.explain(err, dirs)
	}
	return seen, nil
}

// lookAgain asks for more, in the same conversation: what is at other places, such as those
// that the host remembers. Directories are counted on.
func (c *channel) lookAgain(dirs []directory) (plan.Observed, error) {
	list := words{"look"}
	list.addDirectories(dirs)
	c.send(list.bytes())
	seen, err := readLook(c.out, dirs, nil, nil, nil)
	if err != nil {
		return seen, c.explain(err, dirs)
	}
	return seen, nil
}

// notGiven tells of directories that the host could not give to their owners.
func (c *channel) notGiven(kept []plan.DirectoryStep) error {
	c.finish()
	names := make([]string, len(kept))
	for i, dir := range kept {
		names[i] = fmt.Sprintf("%s to %s:%s", dir.Path, dir.User, dir.Group)
	}
	err := fmt.Errorf("the keys are in place, but root could not give %s; run again", strings.Join(names, ", "))
	if text := c.stderr.String(); text != "" {
		return fmt.Errorf("%w; the host says: %s", err, text)
	}
	return err
}

// contents splits items into what the plan may know and what travels.
func contents(items []Item) (wanted []plan.WantedKey, content map[string]secret.Secret, size int64) {
	content = make(map[string]secret.Secret, len(items))
	for _, item := range items {
		if item.Held != nil {
			wanted = append(wanted, plan.WantedKey{Key: item.Key, Size: item.Held.Size, Held: true})
			continue
		}
		wanted = append(wanted, plan.WantedKey{
			Key: item.Key, Size: int64(item.Content.Len()), Digest: item.Content.Digest(),
		})
		content[item.Key.Attr] = item.Content
		size += int64(item.Content.Len())
	}
	return wanted, content, size
}

// deadline bounds the host's process, which learns of a cut cable in no other
// way: two minutes, the wait for the lock, and a slow line's time for the bytes.
func deadline(req Request, size int64) time.Duration {
	return 2*time.Minute + req.LockWait + time.Duration(size/50_000)*time.Second
}

// channel is the running host script with its two directions.
type channel struct {
	stdin  *io.PipeWriter
	out    *lines
	stderr *tail         // to be read after ended
	ended  chan struct{} // closed when the command has ended
	runErr error         // how it ended; to be read after ended
}

// errLate is of a host that has not finished an upload.
func errLate(limit time.Duration) error {
	return fmt.Errorf("the host did not finish the upload within %s", limit+grace)
}

// grace is how long a host may take to end by itself once its time is over.
const grace = 10 * time.Second

// begin starts the host's half, which is to end by itself within the limit; if it does not,
// late is why it is ended. stop ends it.
func begin(ctx context.Context, host hostscript.Runner, limit time.Duration, late error) (c *channel, stop func()) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit+grace, late)
	c = start(ctx, host, limit)
	return c, func() { c.finish(); cancel() }
}

// start runs the host's half.
func start(ctx context.Context, host hostscript.Runner, limit time.Duration) *channel {
	inR, inW := io.Pipe()
	said := newInbox()
	c := &channel{stdin: inW, out: &lines{bufio.NewReader(said)}, stderr: &tail{}, ended: make(chan struct{})}
	call := hostscript.Call{Script: hostScript, Limit: limit, Stdin: inR, Stdout: said, Stderr: c.stderr}
	go func() {
		defer crash.Guard()
		c.runErr = hostscript.Run(ctx, host, call)
		inR.CloseWithError(io.ErrClosedPipe)
		said.end()
		close(c.ended)
	}()
	return c
}

// send writes the parts one after the other, without a copy of them all.
func (c *channel) send(parts ...[]byte) error {
	for _, part := range parts {
		if _, err := io.Copy(c.stdin, bytes.NewReader(part)); err != nil {
			return err
		}
	}
	return nil
}

// finish ends the input, which makes the host clean up, and returns how its
// half ended. It may be called again.
func (c *channel) finish() error {
	c.stdin.Close()
	<-c.ended
	return c.runErr
}

// explain turns what ended the conversation into what the user needs to know.
func (c *channel) explain(err error, dirs []directory) error {
	runErr := c.finish()
	var refused *refusal
	if errors.As(err, &refused) {
		return refused.explain(dirs, c.stderr.String())
	}
	var exit interface{ ExitStatus() int }
	switch {
	case errors.As(runErr, &exit) && !errors.Is(runErr, hostscript.ErrShell):
		err = fmt.Errorf("%w (%w)", err, runErr)
	case runErr != nil:
		err = runErr
	}
	if text := c.stderr.String(); text != "" {
		return fmt.Errorf("%w; the host says: %s", err, text)
	}
	return err
}
