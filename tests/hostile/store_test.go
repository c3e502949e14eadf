package hostile_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/nix"
	"github.com/colmena-go/colmena-go/pkg/nixbuild"
	"github.com/colmena-go/colmena-go/pkg/remote"
)

// proven is a host that reads our script, says its word, and then does harm.
func proven(harm func(s *session)) behaviour {
	return func(s *session) uint32 {
		fmt.Fprintln(s, s.mark)
		size, _ := strconv.Atoi(regexp.MustCompile(`head -c (\d+)`).FindStringSubmatch(s.program)[1])
		script := make([]byte, size)
		io.ReadFull(s, script)
		word, _, _ := strings.Cut(strings.TrimPrefix(string(script), "echo "), "\n")
		fmt.Fprintln(s, word)
		harm(s)
		return 1
	}
}

func numbers(list ...uint64) []byte {
	var bytes []byte
	for _, n := range list {
		bytes = binary.LittleEndian.AppendUint64(bytes, n)
	}
	return bytes
}

// dialled connects to a host that behaves so.
func dialled(t *testing.T, behave behaviour) *remote.Host {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "ssh_config")
	text := fmt.Sprintf("Host *\n  HostName 127.0.0.1\n  Port %s\n  User root\n  IdentityAgent none\n  IdentityFile %s/none\n  UserKnownHostsFile %[2]s/known_hosts\n  GlobalKnownHostsFile /dev/null\n", serve(t, behave), dir)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	host, err := remote.Dial(t.Context(), remote.Config{Host: "bad", SSHConfigFile: config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	return host
}

// bounded runs f, which must fail with those words soon and in little memory.
func bounded(t *testing.T, says string, f func() error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	err := f()
	took := time.Since(begin)
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), says) || len(err.Error()) > 20_000 {
		t.Errorf("want %q: %.300v", says, err)
	}
	if grown := int64(after.Sys) - int64(before.Sys); took > 30*time.Second || grown > 128<<20 {
		t.Errorf("it took %v and %d MiB", took, grown>>20)
	}
}

// lacks asks a host which paths it lacks.
func lacks(t *testing.T, ctx context.Context, host *remote.Host, paths ...string) ([]string, error) {
	builder := nixbuild.New(nix.Tool{}, nixbuild.BuilderOptions{})
	store := builder.HostStore(ctx, host, paths[:1], func(line string) {
		if strings.ContainsAny(line, "\x1b\x00") {
			t.Errorf("it is passed on: %q", line)
		}
	})
	defer store.Close()
	return store.Lacks(paths)
}

func TestAHostsStoreThatLiesFailsAlone(t *testing.T) {
	greeting := numbers(0x5452eecb, 0x205)
	for name, c := range map[string]struct {
		harm func(s *session)
		says string
	}{
		"no greeting":           {func(s *session) { fmt.Fprint(s, "welcome to this host\n") }, "does not answer as it should"},
		"more paths than asked": {func(s *session) { s.Write(append(greeting, numbers(1<<60)...)) }, "at most 2 makes sense"},
		"a path of 1 TB":        {func(s *session) { s.Write(append(greeting, numbers(1, 1<<40)...)); pour(s, "x") }, "at most 4096 makes sense"},
		"an end in the middle":  {func(s *session) { s.Write(append(greeting, numbers(2, 30)...)) }, "status 1"},
		"stderr without end":    {func(s *session) { pour(s.Stderr(), "no "); fmt.Fprint(s.Stderr(), "\n\x1b[2Jno luck\n") }, "no luck"},
		"an answer to nothing":  {func(s *session) { s.Write(greeting); s.Write(greeting); s.Close() }, "asking the host's store"},
		"what it does not read": {func(s *session) { time.Sleep(50 * time.Millisecond); s.Close() }, "asking the host's store"},
	} {
		t.Run(name, func(t *testing.T) {
			host := dialled(t, proven(c.harm))
			bounded(t, c.says, func() error {
				_, err := lacks(t, t.Context(), host, "/nix/store/a", "/nix/store/b")
				if err != nil && strings.ContainsAny(err.Error(), "\x1b\x00") {
					t.Errorf("%q", err)
				}
				return err
			})
		})
	}
	// A path that nobody asked about changes nothing.
	host := dialled(t, proven(func(s *session) {
		s.Write(append(append(greeting, numbers(2, 8)...), "/strange"...))
		s.Write(append(numbers(12), "/nix/store/b\x00\x00\x00\x00"...))
	}))
	if lacking, err := lacks(t, t.Context(), host, "/nix/store/a", "/nix/store/b"); err != nil || !slices.Equal(lacking, []string{"/nix/store/a"}) {
		t.Errorf("%q, %v", lacking, err)
	}
	// One that is silent is left when the caller has waited enough.
	silent := dialled(t, proven(func(s *session) { <-s.ended }))
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, errors.New("enough"))
	defer cancel()
	bounded(t, "enough", func() error {
		_, err := lacks(t, ctx, silent, "/nix/store/a")
		return err
	})
}

// words are texts as a store says them.
func words(texts ...string) (bytes []byte) {
	bytes = numbers(uint64(len(texts)))
	for _, text := range texts {
		bytes = append(append(bytes, numbers(uint64(len(text)))...), text...)
		bytes = append(bytes, make([]byte, -len(text)&7)...)
	}
	return bytes
}

func TestAHostThatLiesOfItsClosureFailsAlone(t *testing.T) {
	greeting := numbers(0x5452eecb, 0x205)
	top, other := "/nix/store/"+strings.Repeat("0", 32)+"-nixos-system-a-25.05", "/nix/store/"+strings.Repeat("1", 32)+"-b-1"
	valid := slices.Concat(greeting, words(top))
	for name, c := range map[string]struct {
		harm func(s *session)
		says string
	}{
		"paths without end":      {func(s *session) { s.Write(append(valid, numbers(1<<60)...)) }, "makes sense"},
		"very many paths":        {func(s *session) { s.Write(append(valid, numbers(1<<20)...)); pour(s, "x") }, "makes sense"},
		"a path with an escape":  {func(s *session) { s.Write(append(valid, words(top, "/nix/store/\x1b[2J\n")...)) }, "no path of its store"},
		"a path of another tree": {func(s *session) { s.Write(append(valid, words(top, strings.Replace(other, "/nix", "/etc", 1))...)) }, "no path of its store"},
		"all but itself":         {func(s *session) { s.Write(slices.Concat(valid, words(other), numbers(0))) }, "not to need itself"},
		"an info without end":    {func(s *session) { s.Write(slices.Concat(valid, words(top))); s.Write(numbers(1 << 40)) }, "makes sense"},
		"an end":                 {func(s *session) { s.Write(greeting) }, "status 1"},
		"nothing":                {func(s *session) { <-s.ended }, "enough"},
	} {
		t.Run(name, func(t *testing.T) {
			host := dialled(t, proven(c.harm))
			limit := 20 * time.Second
			if c.says == "enough" {
				limit = 200 * time.Millisecond
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errors.New("enough"))
			defer cancel()
			bounded(t, c.says, func() error {
				_, err := nixbuild.LookThere(ctx, host, closure.Question{Closures: []string{top}})
				if err != nil && strings.ContainsAny(err.Error(), "\x1b\x00") {
					t.Errorf("%q", err)
				}
				return err
			})
		})
	}
	// Who says that nothing is there is believed: there is nothing to compare.
	host := dialled(t, proven(func(s *session) { s.Write(append(greeting, numbers(0)...)) }))
	if found, err := nixbuild.LookThere(t.Context(), host, closure.Question{Closures: []string{top}}); err != nil || len(found.Closures) > 0 {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestAHostThatBuildsAndLiesFailsAlone(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(s *session)
		says string
	}{
		"activities without end": {func(s *session) {
			w := bufio.NewWriter(s.Stderr())
			for id := range 30_000 {
				fmt.Fprintf(w, `@nix {"action":"start","id":%d,"type":105,"level":3,"text":"x","fields":["/nix/store/%032d-%s.drv","",1,1]}`+"\n", id, id, long[:60])
			}
			w.Flush()
		}, "status 1"},
		"failures without end": {func(s *session) {
			for id := range 3_000 {
				fmt.Fprintf(s.Stderr(), `@nix {"action":"msg","level":0,"msg":"builder for '/nix/store/%032d-x.drv' failed"}`+"\n", id)
			}
		}, "more failed"},
		"a line of 60 MB": {func(s *session) { pour(s.Stderr(), "no ") }, "status 1"},
		"nothing":         {func(*session) {}, "status 1"},
		"a reason of 15 MB": {func(s *session) {
			fmt.Fprintf(s.Stderr(), `@nix {"action":"msg","level":0,"msg":"%s"}`+"\n", long)
		}, "xxx"},
	} {
		t.Run(name, func(t *testing.T) {
			host := dialled(t, proven(c.harm))
			b := nixbuild.New(nix.Tool{}, nixbuild.BuilderOptions{})
			defer b.Close()
			bounded(t, c.says, func() error {
				return b.BuildOnHost(t.Context(), host, nixbuild.HostBuild{Node: "bad", DrvPath: "/nix/store/a.drv", Substitute: true, Output: func(string) {}})
			})
			bounded(t, c.says, func() error {
				return nixbuild.FetchOnHost(t.Context(), host, nixbuild.HostFetch{Path: "/nix/store/a", From: "https://cache", Output: func(string) {}})
			})
		})
	}
}
