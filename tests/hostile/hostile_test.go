package hostile_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/remote"
	"github.com/colmena-go/colmena-go/pkg/report"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

const theirs = "theSecretOfTheHostileHost"

// site is two nodes: "good" and "bad".
type site struct {
	config string // ssh_config
	nodes  []hive.Node
	tools  deploy.Tools
}

func newSite(t *testing.T, bad behaviour) *site {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	os.RemoveAll("/run/keys")
	os.RemoveAll("/run/colmena-go")
	os.Remove("/run/current-system")
	dir := t.TempDir()
	system := "/run/system-good"
	os.MkdirAll(system+"/bin", 0o755)
	t.Cleanup(func() { os.RemoveAll(system) })
	const script = "#!/bin/sh\nsleep 0.2\nln -sfn ${0%/bin/*} /run/current-system\n"
	if err := os.WriteFile(system+"/bin/switch-to-configuration", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	s := &site{config: filepath.Join(dir, "ssh_config")}
	text := fmt.Sprintf("Host good\n  Port %s\nHost bad\n  Port %s\nHost *\n  HostName 127.0.0.1\n  User root\n  IdentityAgent none\n  IdentityFile %s/none\n  UserKnownHostsFile %[3]s/known_hosts\n  GlobalKnownHostsFile /dev/null\n",
		serve(t, honest), serve(t, bad), dir)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bad", "good"} {
		s.nodes = append(s.nodes, hive.Node{
			Name: name, Target: &hive.Target{Host: name}, ReplaceUnknownProfiles: true,
			Toplevel: &hive.Toplevel{DrvPath: "/drv", OutPath: system},
			Keys: []hive.Key{
				{Attr: "early", Name: "early", DestDir: "/run/keys", User: "root", Group: "root", Mode: 0o600, UploadAt: hive.PreActivation},
				{Attr: "late", Name: "late", DestDir: "/run/keys", User: "root", Group: "root", Mode: 0o600, UploadAt: hive.PostActivation},
			},
		})
	}
	s.tools = deploy.Tools{
		Open: func(ctx context.Context, n hive.Node, note func(string)) (deploy.Host, error) {
			h, err := remote.Dial(ctx, remote.Config{Host: n.Target.Host, SSHConfigFile: s.config, Note: note})
			if err != nil {
				return nil, err
			}
			return h, nil
		},
		Build:        func(context.Context, hive.Node, func(string)) error { return nil },
		Closure:      func(context.Context, string) (map[string]int64, error) { return nil, nil },
		Store:        func(context.Context, deploy.Host, []string, func(string)) deploy.Store { return complete{} },
		Release:      func(context.Context, deploy.Host, []string) error { return nil },
		Known:        func(context.Context, string) (bool, error) { return true, nil },
		CheckSources: func(context.Context, hive.Node) error { return nil },
		Resolve: func(_ context.Context, n hive.Node, _ func(string)) (map[string]secret.Secret, error) {
			content := map[string]string{"good": "v", "bad": theirs}[n.Name]
			return map[string]secret.Secret{"early": secret.New([]byte(content)), "late": secret.New([]byte(content))}, nil
		},
	}
	return s
}

// complete is a store that lacks nothing.
type complete struct{}

func (complete) Lacks([]string) ([]string, error)                                    { return nil, nil }
func (complete) Fetch([]string) (lacked, lacks []string, err error)                  { return nil, nil, nil }
func (complete) Add([]string, func(path string), func(bytes int)) error              { return nil }
func (complete) Give([]string, func(path string), func(bytes int)) ([]string, error) { return nil, nil }
func (complete) Close()                                                              {}

// switching is a host that does as it should until it activates, and harm then.
func switching(harm func(s *session, mark string)) behaviour {
	return func(s *session) uint32 {
		fmt.Fprintln(s, s.mark)
		switch {
		case strings.Contains(s.program, "readlink"):
			fmt.Fprint(s, "-\n-\n.\n")
		case strings.HasPrefix(s.command, "timeout"):
			return uploaded(s)
		default:
			if words := s.words(); len(words) > 2 {
				fmt.Fprintf(s, "%s launch\n%[1]s began\n", words[2])
				harm(s, string(words[2]))
			}
		}
		return 0
	}
}

// uploaded says that keys are in place.
func uploaded(s *session) uint32 {
	if s.words() == nil {
		return 1
	}
	fmt.Fprint(s, "dir ramfs 0:5 0 750\nobserved\n")
	io.CopyN(io.Discard, s, 1)
	fmt.Fprintln(s, "done")
	io.Copy(io.Discard, s)
	return 0
}

// uploading is a host that does harm when keys come.
func uploading(harm func(s *session)) behaviour {
	return func(s *session) uint32 {
		fmt.Fprintln(s, s.mark)
		if strings.Contains(s.program, "readlink") {
			fmt.Fprint(s, "-\n-\n.\n")
			return 0
		}
		s.words()
		harm(s)
		return 1
	}
}

// pour writes until nobody reads any more, or 64 MiB.
func pour(w io.Writer, text string) {
	block := []byte(strings.Repeat(text, 1+30_000/len(text)))
	for n := 0; n < 64<<20; n += len(block) {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

var long = strings.Repeat("x", 15<<20)

// behaviours are what hosts may do, and how their own deployment fails of it.
var behaviours = map[string]struct {
	behave behaviour
	step   plan.StepKind
	says   string
}{
	"a greeting without end": {func(s *session) uint32 { pour(s, "welcome\n"); return 0 },
		plan.Inspect, "does not run commands"},
	"stderr without end before anything runs": {func(s *session) uint32 { pour(s.Stderr(), "welcome "); return 0 },
		plan.Inspect, "does not run commands"},
	"a shell that is closed": {func(s *session) uint32 { fmt.Fprint(s, long); return 1 },
		plan.Inspect, "status 1; it says: xxx"},
	"an answer without end": {func(s *session) uint32 { fmt.Fprintln(s, s.mark); pour(s, "/nix/store/x\n"); return 0 },
		plan.Inspect, "the host says too much"},
	"an answer that makes no sense": {func(s *session) uint32 { fmt.Fprintf(s, "%s\n\x1b[2J\n/nix/store/%s\n", s.mark, long[:8000]); return 0 },
		plan.Inspect, "it answers"},
	"an end by a signal with a long name": {func(s *session) uint32 {
		s.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Signal     string
			Core       bool
			Text, Lang string
		}{long[:20_000], false, long[:2000], ""}))
		return noStatus
	}, plan.Inspect, "signal xxx"},

	"jobs that repeat": {switching(func(s *session, mark string) {
		for range 200 {
			fmt.Fprintf(s, "%s job late-key.service\n", mark)
		}
		time.Sleep(300 * time.Millisecond)
		fmt.Fprintf(s, "%s state - -\n%[1]s exit 0\n", mark)
	}), plan.Activate, "the host runs no NixOS system"},
	"failed units without end": {switching(func(s *session, mark string) { pour(s, mark+" failed "+long[:500]+"\n") }),
		plan.Activate, "the host says too much"},
	"statuses that repeat": {switching(func(s *session, mark string) { pour(s, mark+" exit 1\n") }),
		plan.Activate, "ended with 1"},
	"a reason of 15 MB": {switching(func(s *session, mark string) { fmt.Fprintf(s, "%s fail %s\n", mark, long[:200_000]) }),
		plan.Activate, "could not be started: xxx"},
	"notes without end": {switching(func(s *session, mark string) { pour(s, mark+" detached "+long[:500]+"\n") }),
		plan.Activate, "the host says too much"},
	"output of one line": {switching(func(s *session, mark string) {
		io.WriteString(s, long[:4<<20])
		fmt.Fprintf(s, "%s exit 1\n", mark)
	}),
		plan.Activate, "ended with 1"},
	"reports on stderr": {switching(func(s *session, mark string) {
		fmt.Fprintf(s.Stderr(), "%s exit 0\n", mark)
		time.Sleep(100 * time.Millisecond) // stderr is read on its own
		fmt.Fprintf(s, "%s exit 1\n", mark)
	}), plan.Activate, "ended with 1"},
	"stderr without end while it runs": {switching(func(s *session, _ string) { pour(s.Stderr(), "no\n") }),
		plan.Activate, "the host says too much"},
	"an end in the middle": {switching(func(s *session, _ string) { s.Close() }),
		plan.Activate, "the activation continues on the host"},
	"a success that is none": {switching(func(s *session, mark string) { fmt.Fprintf(s, "%s state - -\n%[1]s exit 0\n", mark) }),
		plan.Activate, "the host runs no NixOS system"},
	"systems that are none": {switching(func(s *session, mark string) {
		fmt.Fprintf(s, "%s state \x1b[2J%s /x\n%[1]s exit 0\n", mark, long[:10_000])
	}), plan.Activate, "not a store path"},

	"a refusal of 15 MB": {uploading(func(s *session) { fmt.Fprintf(s, "fail dir 1 %s\n", long) }),
		plan.Upload, "xxx […] xxx"},
	"a lock that is held by all": {uploading(func(s *session) { pour(s, "wait "+long[:500]+"\n") }),
		plan.Upload, "the host says too much"},
	"users without end": {uploading(func(s *session) { pour(s, "passwd 1 "+long[:500]+"\n") }),
		plan.Upload, "the host says too much"},
	"an obstacle of 15 MB": {uploading(func(s *session) { fmt.Fprintf(s, "dir ramfs 0:5 0 750\nblocked 1 %s\nobserved\n", long) }),
		plan.Upload, "xxx […] xxx"},
	"no sense": {uploading(func(s *session) { fmt.Fprint(s, "\x00\xff\x1b]52;c;AAAA\x07\n") }),
		plan.Upload, "makes no sense"},
	"stderr without end": {uploading(func(s *session) { pour(s.Stderr(), "no\n"); fmt.Fprint(s, "fail dir 1 no\n") }),
		plan.Upload, "the host says: no no"},
}

// A host that turned against us fails its own deployment, soon, in few words,
// and no other one's.
func TestAHostileHostHarmsNobodyButItself(t *testing.T) {
	for name, bad := range behaviours {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, bad.behave)
			var shown strings.Builder
			screen := report.NewTerminal(&shown)
			sink := report.NewPlain(screen, true, false)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begin := time.Now()
			results := deploy.Run(t.Context(), deploy.Evaluated(s.nodes), deploy.Options{Want: plan.Want{Goal: hive.Test}, Schedule: deploy.Schedule{Change: deploy.NewLimit(2, "--parallel")}}, s.tools, sink)
			took := time.Since(begin)
			screen.Close(t.Context())
			runtime.ReadMemStats(&after)
			if r := results[1]; r.Status != event.Succeeded {
				t.Errorf("the honest node: %s: %v", r.Status, r.Err)
			}
			for _, key := range []string{"early", "late"} {
				if text, err := os.ReadFile("/run/keys/" + key); err != nil || string(text) != "v" {
					t.Errorf("the honest node's key %s: %q, %v", key, text, err)
				}
			}
			r := results[0]
			switch {
			case r.Status != event.Failed || r.Step != bad.step || !strings.Contains(r.Err.Error(), bad.says):
				t.Errorf("the hostile node: %s in step %q: %.300v; want step %q and %q", r.Status, r.Step, r.Err, bad.step, bad.says)
			case len(r.Err.Error()) > 2000 || strings.ContainsAny(r.Err.Error(), "\x1b\x00"):
				t.Errorf("%d bytes of error: %.200q", len(r.Err.Error()), r.Err)
			case strings.Contains(r.Err.Error()+shown.String(), theirs):
				t.Error("a secret is shown")
			}
			if took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			if grown := int64(after.Sys) - int64(before.Sys); grown > 256<<20 {
				t.Errorf("memory grew by %d MiB", grown>>20)
			}
		})
	}
}
