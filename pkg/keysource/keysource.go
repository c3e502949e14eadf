// Package keysource turns the source of a key (text, keyFile or keyCommand)
// into its content, or what reads it anew for each host where it is a large file.
// Contents reach no argument, no environment, no file and no error.
package keysource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// Errors that callers tell apart with errors.Is; every one comes in an [Error].
var (
	// ErrStart: a keyCommand's program is not there or cannot be run.
	ErrStart = errors.New("the command cannot be started")
	// ErrCommand: a keyCommand failed or was killed.
	ErrCommand = errors.New("the command failed")
	// ErrTimeout: a keyCommand took too long and was killed.
	ErrTimeout = errors.New("the command took too long")
	// ErrBlank: a keyCommand ended well and gave nothing, or only white space.
	ErrBlank = errors.New("the command gave no content")
	// ErrFile: a keyFile is missing, unreadable, no regular file or does not answer.
	ErrFile = errors.New("the file cannot be read")
	// ErrTooLarge: a source holds more than [MaxSize].
	ErrTooLarge = errors.New("too large for a key")
	// ErrNoSource: the hive was evaluated without the key's text.
	ErrNoSource = errors.New("the key has no source")
)

// Limits where a [Resolver] sets none.
const (
	MaxSize        = 64 << 20 // bytes of one key
	DefaultLimit   = 16       // keyCommands at once, and as many files
	DefaultTimeout = 2 * time.Minute
)

// Resolver resolves the keys of all nodes of a deployment; one is shared by
// all so that its limit holds for all of them. The zero value is ready.
type Resolver struct {
	Limit   int           // keyCommands at once; 0 means DefaultLimit
	Timeout time.Duration // for each keyCommand and keyFile that has none of its own; 0 means DefaultTimeout

	// ShowErrors makes the last lines of a failed command's stderr part of its
	// error. They may hold secrets.
	ShowErrors bool
	// Said is given each line that commands print on stderr while they run, for a
	// terminal and nothing else: it may be a secret. nil: they go nowhere.
	Said func(node, key, line string)
	// Working is told which keyCommand a node waits for, once it changes, and "" for none
	// any more: the key and the program, and none of its arguments. It may be nil.
	Working func(node, what string)
	// Terminal lends it to commands that ask there; nil: they have none.
	Terminal Terminal

	// KeepNothing: what a shared keyCommand printed is only for those who wait while it
	// runs, as in a watch, which has no end.
	KeepNothing bool

	once            sync.Once
	commands, files chan struct{} // slots
	strays          strays
	shared          shared
}

// Error is a key whose content could not be had.
type Error struct {
	Node, Key string
	Option    string // keyFile or keyCommand
	Err       error
}

func (e *Error) Error() string {
	return fmt.Sprintf("node %q: deployment.keys.%q.%s: %v", e.Node, e.Key, e.Option, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Resolve returns the content of every key of the node by attribute name, or
// nothing and a multierror with an [*Error] for each that failed. When ctx is done it ends
// the commands it started and returns the cause. Arguments of a command are in no
// error, nor is what it printed unless ShowErrors says so. warn is told of what
// takes long and of sources that gave nothing.
func (r *Resolver) Resolve(ctx context.Context, node hive.Node, warn func(text string)) (map[string]secret.Secret, error) {
	r.once.Do(r.prepare)
	keys := node.Keys
	contents := make([]secret.Secret, len(keys))
	errs := make([]error, len(keys))
	var works *working
	if r.Working != nil {
		works = &working{tell: func(what string) { r.Working(node.Name, what) }}
	}
	var all sync.WaitGroup
	for i, key := range keys {
		if key.Text != nil {
			contents[i] = *key.Text
			continue
		}
		all.Go(crash.Guarded(func() { contents[i], errs[i] = r.fetch(ctx, key, r.teller(node, key, warn), works) }))
	}
	all.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := failures(node, errs); err != nil {
		return nil, err
	}
	byAttr := make(map[string]secret.Secret, len(keys))
	for i, key := range keys {
		if contents[i].Len() == 0 && !key.AllowEmpty {
			warn(fmt.Sprintf("deployment.keys.%q: its %s is empty, and so is the secret", key.Attr, option(key)))
		}
		byAttr[key.Attr] = contents[i]
	}
	return byAttr, nil
}

// fetch resolves what does not lie in memory.
func (r *Resolver) fetch(ctx context.Context, key hive.Key, tell teller, works *working) (secret.Secret, error) {
	switch {
	case len(key.Command) > 0:
		return r.command(ctx, key, tell, works)
	case key.File != "":
		return r.file(ctx, key, tell)
	}
	return secret.Secret{}, ErrNoSource
}

// teller tells of one key while its source is being read.
type teller struct {
	node, key string
	warn      func(text string)
	said      func(line string) // nil: nobody wants to know
}

func (r *Resolver) teller(node hive.Node, key hive.Key, warn func(text string)) teller {
	t := teller{node: node.Name, key: key.Attr, warn: func(text string) { warn(fmt.Sprintf("deployment.keys.%q: %s", key.Attr, text)) }}
	if r.Said != nil {
		t.said = func(line string) { r.Said(node.Name, key.Attr, line) }
	}
	return t
}

// slowSource is when the user should know what is waited for.
var slowSource = 8 * time.Second

// slow says that something takes long, unless it is stopped before. Nothing is
// said any more when stop returns.
func (t teller) slow(what string) (stop func()) {
	said := make(chan struct{})
	timer := time.AfterFunc(slowSource, crash.Guarded(func() {
		defer close(said)
		t.warn(what + " takes long")
	}))
	return func() {
		if !timer.Stop() {
			<-said
		}
	}
}

func (r *Resolver) prepare() {
	limit := r.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	r.commands, r.files = make(chan struct{}, limit), make(chan struct{}, limit)
}

// timeout is how long a key's source may take.
func (r *Resolver) timeout(key hive.Key) time.Duration {
	return cmp.Or(key.Timeout, r.Timeout, DefaultTimeout)
}

// take waits for a slot and returns what gives it back.
func take(ctx context.Context, slots chan struct{}) (release func(), err error) {
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// failures is a multierror of the keys that have an error.
func failures(node hive.Node, errs []error) error {
	failed := &multierror.Error{ErrorFormat: hive.ListErrors}
	for i, key := range node.Keys {
		if errs[i] != nil && !repeats(errs[:i], errs[i]) {
			failed = multierror.Append(failed, &Error{Node: node.Name, Key: key.Attr, Option: option(key), Err: errs[i]})
		}
	}
	return failed.ErrorOrNil()
}

func option(key hive.Key) string {
	switch {
	case len(key.Command) > 0:
		return "keyCommand"
	case key.File != "":
		return "keyFile"
	}
	return "text"
}
