package nixbuild

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

//go:embed build.sh
var buildScript []byte

// HostBuild is one node's system, built on the node's own host.
type HostBuild struct {
	Node       string // its name
	DrvPath    string // in the host's store, with all that it needs
	Substitute bool   // the host may fetch from its own substituters
	Output     func(line string)
}

// BuildOnHost returns when the host has built the system, with its own daemon and
// its own settings: neither --nix-option nor what this machine's nix.conf says
// applies. It fails with a [*BuildError] or with what keeps the host from building.
// When ctx is done the build ends, unless the host does not hear of that: then it
// ends with the connection, as soon as the host has noticed.
func (b *Builder) BuildOnHost(ctx context.Context, host hostscript.Runner, build HostBuild) error {
	words := []string{"-", "-", build.DrvPath}
	if !build.Substitute {
		words = append(words, "--option", "substitute", "false")
	}
	h := &hostLog{node: build.Node, drv: build.DrvPath, output: build.Output}
	b.mu.Lock()
	b.there[build.Node] = h
	b.mu.Unlock()
	b.want(nil, 1) // nobody here need wait for it
	defer b.watch.begin(&b.all, h)()
	return h.run(ctx, host, words)
}

// HostFetch is a path that a host fetches from a cache.
type HostFetch struct {
	Path       string
	From       string // the cache's URL, as the host reaches it
	Substitute bool   // the host may fetch from its own substituters, too
	Output     func(line string)
}

// fetchLimit is how long a host that fetches may say nothing; Nix tells how far each
// download is.
const fetchLimit = 5 * time.Minute

// FetchOnHost returns when the host has fetched a path and all that it needs. It
// fails with [ErrUntrusted] or with what Nix there said, without logins, and then
// the host may have a part of it.
func FetchOnHost(ctx context.Context, host hostscript.Runner, fetch HostFetch) error {
	setting := "substituters"
	if fetch.Substitute {
		setting = "extra-substituters"
	}
	words := []string{setting, fetch.From, fetch.Path, "--option", "substitute", "true", "--option", "narinfo-cache-negative-ttl", "0"}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(fetchLimit, func() { cancel(fmt.Errorf("the host says nothing for %s", fetchLimit)) })
	defer silence.Stop()
	h := &hostLog{output: fetch.Output, heard: func() { silence.Reset(fetchLimit) }}
	err := h.run(ctx, host, words)
	if err != nil && (h.untrusted || untrusted.MatchString(err.Error())) {
		return fmt.Errorf("%w (%v)", ErrUntrusted, err)
	}
	return err
}

// run has the host run Nix.
func (h *hostLog) run(ctx context.Context, host hostscript.Runner, words []string) error {
	input, end := io.Pipe()
	defer end.Close()
	lines := &nix.LineWriter{Emit: h.line, Most: mostFromHost}
	err := hostscript.Run(ctx, host, hostscript.Call{
		Script: buildScript, Stdin: io.MultiReader(bytes.NewReader(hostscript.List(words...)), input), Stderr: lines,
	})
	lines.Flush()
	return h.explain(err)
}

// mostFromHost is how many bytes of a line that a host says are read.
const mostFromHost = 64 << 10

// hostLog is what a host says of a build or a fetch.
type hostLog struct {
	node, drv string // of a build
	output    func(line string)
	heard     func() // of each line; may be nil
	untrusted bool   // Nix there refused a signature

	mu    sync.Mutex
	log   buildLog
	begun int // builds
}

// line is told each line of what Nix says there.
func (h *hostLog) line(text string) {
	if h.heard != nil {
		h.heard()
	}
	h.mu.Lock()
	event := h.log.line(text)
	if event.build {
		h.begun++
	}
	h.mu.Unlock()
	if event.kind == nixSaid && untrusted.MatchString(event.text) {
		h.untrusted = true
	}
	switch event.kind {
	case workBegan, nixSaid, nixPlans:
		h.output(event.text)
	case workSaid:
		h.output(storeName(event.path) + "> " + event.text)
	}
}

// explain is the error of a build that ended so.
func (h *hostLog) explain(err error) error {
	var exit interface{ ExitStatus() int }
	if err == nil || !errors.As(err, &exit) {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.log.failures) > 0 {
		return &BuildError{failures: h.log.failures, onHost: true}
	}
	return fmt.Errorf("nix-store on the host: %w", h.log.whole(err))
}

// waitsFor says what the build waits for now.
func (h *hostLog) waitsFor() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.waits(func(string) bool { return true })
}
