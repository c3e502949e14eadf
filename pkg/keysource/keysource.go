// Package keysource gets the content of keys from where a hive says it is: a
// text, a file or a command on this machine.
package keysource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// ErrSource is wrapped by every error about a key whose content cannot be had.
var ErrSource = errors.New("its content cannot be had")

// MaxSize is the largest content of a key, in bytes. A key is held in memory.
const MaxSize = 64 << 20

// Resolver gets contents. One serves all nodes, so that Commands bounds them
// together. The zero value runs 8 commands at once, for 2 minutes at most.
type Resolver struct {
	Commands int           // how many commands run at once
	Timeout  time.Duration // for one command
	Warn     func(node, text string)

	once  sync.Once
	slots chan struct{}
}

func (r *Resolver) init() {
	r.once.Do(func() {
		if r.Commands <= 0 {
			r.Commands = 8
		}
		if r.Timeout <= 0 {
			r.Timeout = 2 * time.Minute
		}
		if r.Warn == nil {
			r.Warn = func(string, string) {}
		}
		r.slots = make(chan struct{}, r.Commands)
	})
}

// Resolve returns the content of every key by attribute name, or a multierror
// that names each key that has none and wraps [ErrSource]. No error holds
// content, nor an argument of a command, which may be a secret too.
func (r *Resolver) Resolve(ctx context.Context, node string, keys []hive.Key) (map[string]secret.Secret, error) {
	r.init()
	contents := make([]secret.Secret, len(keys))
	errs := make([]error, len(keys))
	var all sync.WaitGroup
	for i, key := range keys {
		all.Go(func() { contents[i], errs[i] = r.one(ctx, key) })
	}
	all.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var problems *multierror.Error
	resolved := make(map[string]secret.Secret, len(keys))
	for i, key := range keys {
		if errs[i] != nil {
			problems = multierror.Append(problems, fmt.Errorf("key %q of node %q: %w: %w", key.Attr, node, ErrSource, errs[i]))
			continue
		}
		if key.Text == nil && contents[i].Len() == 0 {
			r.Warn(node, fmt.Sprintf("key %q is empty", key.Attr))
		}
		resolved[key.Attr] = contents[i]
	}
	if err := problems.ErrorOrNil(); err != nil {
		return nil, err
	}
	return resolved, nil
}

func (r *Resolver) one(ctx context.Context, key hive.Key) (secret.Secret, error) {
	switch {
	case key.Text != nil:
		return *key.Text, nil
	case key.File != "":
		return readFile(key.File)
	case len(key.Command) > 0:
		return r.run(ctx, key.Command)
	}
	return secret.Secret{}, errors.New("none of text, keyFile and keyCommand is set")
}

// readFile reads a regular file. A pipe or a device would block or never end.
func readFile(path string) (secret.Secret, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("keyFile: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return secret.Secret{}, fmt.Errorf("keyFile: %w", err)
	}
	if !info.Mode().IsRegular() {
		return secret.Secret{}, fmt.Errorf("keyFile %s is not a regular file", path)
	}
	text, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	if err != nil {
		return secret.Secret{}, fmt.Errorf("keyFile: %w", err)
	}
	if len(text) > MaxSize {
		return secret.Secret{}, fmt.Errorf("keyFile %s is larger than %d MiB", path, MaxSize>>20)
	}
	return secret.New(text), nil
}

// run executes a command in the caller's directory, without a shell. Its
// output stays in memory; what it says on stderr goes into an error.
func (r *Resolver) run(ctx context.Context, argv []string) (secret.Secret, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return secret.Secret{}, context.Cause(ctx)
	}
	limited, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	cmd := exec.CommandContext(limited, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // for children that keep the pipe open
	out, said := &capped{limit: MaxSize}, &lastLines{}
	cmd.Stdout, cmd.Stderr = out, said
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return secret.Secret{}, context.Cause(ctx)
	case limited.Err() != nil:
		return secret.Secret{}, fmt.Errorf("keyCommand %s did not end within %v", argv[0], r.Timeout)
	case out.over:
		return secret.Secret{}, fmt.Errorf("keyCommand %s printed more than %d MiB", argv[0], MaxSize>>20)
	case errors.Is(err, exec.ErrWaitDelay):
		return secret.Secret{}, fmt.Errorf("keyCommand %s ended, but left a process behind that holds its output open", argv[0])
	case err != nil:
		return secret.Secret{}, commandError(argv[0], err, said.text(out.Bytes()))
	}
	return secret.New(out.Bytes()), nil
}

func commandError(program string, err error, said string) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) { // not found, not executable, …
		return fmt.Errorf("keyCommand: %w", err)
	}
	if said == "" {
		return fmt.Errorf("keyCommand %s failed: %w", program, err)
	}
	return fmt.Errorf("keyCommand %s failed: %w; it said: %s", program, err, said)
}

// capped keeps up to limit bytes and notes when there were more.
type capped struct {
	bytes.Buffer
	limit int
	over  bool
}

func (c *capped) Write(p []byte) (int, error) {
	if c.Len()+len(p) > c.limit {
		c.over = true
		return 0, errors.New("too large")
	}
	return c.Buffer.Write(p)
}

// lastLines keeps the end of what a command says on stderr.
type lastLines struct{ kept []byte }

const mostSaid = 500

func (l *lastLines) Write(p []byte) (int, error) {
	l.kept = append(l.kept, p...)
	if extra := len(l.kept) - 4*mostSaid; extra > 0 {
		l.kept = l.kept[extra:]
	}
	return len(p), nil
}

// text is the end of it, on one line, without anything the command had printed
// as content before it failed.
func (l *lastLines) text(content []byte) string {
	text := string(l.kept)
	for _, line := range strings.Split(string(content), "\n") {
		for _, word := range append(strings.Fields(line), line) {
			if len(word) >= 4 {
				text = strings.ReplaceAll(text, word, "[hidden]")
			}
		}
	}
	text = strings.Join(strings.Fields(text), " ")
	return text[max(0, len(text)-mostSaid):]
}
