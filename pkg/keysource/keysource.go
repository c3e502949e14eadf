// Package keysource turns the source of a key (text, keyFile or keyCommand)
// into its content. Contents stay in memory: they reach no argument, no
// environment, no file and no error.
package keysource

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// Errors that callers tell apart with errors.Is; every one comes in an [Error].
var (
	// ErrCommand: a keyCommand could not be started, failed or was killed.
	ErrCommand = errors.New("the command failed")
	// ErrTimeout: a keyCommand took too long and was killed.
	ErrTimeout = errors.New("the command took too long")
	// ErrFile: a keyFile is missing, unreadable or no regular file.
	ErrFile = errors.New("the file cannot be read")
	// ErrTooLarge: a source holds more than [MaxSize].
	ErrTooLarge = errors.New("too large for a key")
	// ErrNoSource: the hive was evaluated without the key's text.
	ErrNoSource = errors.New("the key has no source")
)

// Limits where a [Resolver] sets none.
const (
	MaxSize        = 64 << 20 // bytes of one key
	DefaultLimit   = 16       // keyCommands at once
	DefaultTimeout = 2 * time.Minute
)

// Resolver resolves the keys of all nodes of a deployment; one is shared by
// all so that its limit holds for all of them. The zero value is ready.
type Resolver struct {
	Limit   int           // keyCommands at once; 0 means DefaultLimit
	Timeout time.Duration // for each keyCommand; 0 means DefaultTimeout

	once  sync.Once
	slots chan struct{}
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
// the commands it started and returns the cause. The last lines that a failing
// command wrote to stderr are part of its error, without those that repeat its
// stdout; its arguments are not. warn is told of commands that take long and of
// sources that gave nothing.
func (r *Resolver) Resolve(ctx context.Context, node hive.Node, warn func(text string)) (map[string]secret.Secret, error) {
	r.once.Do(r.prepare)
	keys := node.Keys
	contents := make([]secret.Secret, len(keys))
	errs := make([]error, len(keys))
	var commands sync.WaitGroup
	for i, key := range keys {
		if len(key.Command) > 0 {
			commands.Go(func() {
				slow := time.AfterFunc(slowCommand, func() {
					warn(fmt.Sprintf("deployment.keys.%q: the keyCommand %s takes long", key.Attr, key.Command[0]))
				})
				defer slow.Stop()
				contents[i], errs[i] = r.command(ctx, key.Command)
			})
			continue
		}
		contents[i], errs[i] = local(key)
	}
	commands.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for i, key := range keys {
		if errs[i] == nil && key.Text == nil && contents[i].Len() == 0 {
			warn(fmt.Sprintf("deployment.keys.%q: its %s gave an empty secret", key.Attr, option(key)))
		}
	}
	return gather(node, contents, errs)
}

// slowCommand is when the user should know what is waited for.
const slowCommand = 8 * time.Second

func (r *Resolver) prepare() {
	limit := r.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	r.slots = make(chan struct{}, limit)
}

// local resolves what needs no program.
func local(key hive.Key) (secret.Secret, error) {
	switch {
	case key.Text != nil:
		return *key.Text, nil
	case key.File != "":
		return readFile(key.File)
	}
	return secret.Secret{}, ErrNoSource
}

// gather is all or nothing.
func gather(node hive.Node, contents []secret.Secret, errs []error) (map[string]secret.Secret, error) {
	failed := &multierror.Error{ErrorFormat: hive.ListErrors}
	byAttr := make(map[string]secret.Secret, len(contents))
	for i, key := range node.Keys {
		if errs[i] != nil {
			failed = multierror.Append(failed, &Error{Node: node.Name, Key: key.Attr, Option: option(key), Err: errs[i]})
		}
		byAttr[key.Attr] = contents[i]
	}
	if err := failed.ErrorOrNil(); err != nil {
		return nil, err
	}
	return byAttr, nil
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
