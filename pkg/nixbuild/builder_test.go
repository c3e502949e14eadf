package nixbuild

import (
	"context"
	"errors"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

func TestNodesThatShareABuildAreBuiltByOneNix(t *testing.T) {
	b := building(t, nil, `let s = drv "shared" "echo once; : >$out" [ ]; node = n: drv n "echo system of ${n}; : >$out" [ s ]; in
		{ a = node "a"; b = node "b"; c = node "c"; d = node "d"; }`)
	for node, err := range b.together("a", "b", "c", "d") {
		if err != nil {
			t.Errorf("%s: %v", node, err)
		}
		b.is(node)
		if !slices.Contains(b.said[node], node+"> system of "+node) {
			t.Errorf("%s heard %q", node, b.said[node])
		}
	}
	if n := b.called("--realise"); n != 1 {
		t.Errorf("%d processes", n)
	}
	if b.heard("shared> once") != 1 || b.heard("building shared") != 1 {
		t.Errorf("not once: %q", b.said)
	}
	if len(b.notes) != 1 || b.notes[0] != "5 derivations will be built, for a, b, c and 1 more" {
		t.Errorf("notes: %q", b.notes)
	}
}

func TestABuildThatFailsFailsThoseThatNeedItAndNoOther(t *testing.T) {
	const systems = `let
		bad = drv "bad" "for i in $(seq 20); do echo line $i; done; exit 3" [ ];
		worse = drv "worse" "echo worse and worse; exit 4" [ ]; in {
		a = drv "a" ": >$out" [ ]; b = drv "b" ": >$out" [ bad ]; c = drv "c" ": >$out" [ (drv "between" ": >$out" [ bad ]) worse ];
		d = drv "d" ": >$out" [ (drv "good" ": >$out" [ ]) ]; }`
	for _, store := range []string{"its own store", "a daemon"} {
		t.Run(store, func(t *testing.T) {
			b := building(t, nil, systems)
			if store == "a daemon" {
				daemon(t)
			}
			errs := b.together("a", "b", "c", "d")
			for node, wrong := range map[string][]string{"b": {"bad"}, "c": {"bad", "worse"}} {
				var failed *BuildError
				if !errors.As(errs[node], &failed) || len(failed.failures) != len(wrong) {
					t.Errorf("%s: %v", node, errs[node])
					continue
				}
				for _, drv := range wrong {
					if !strings.Contains(errs[node].Error(), "-"+drv+".drv' failed with exit code") || !strings.Contains(errs[node].Error(), "nix log /nix/store/") {
						t.Errorf("%s: %v", node, errs[node])
					}
				}
				if text := errs[node].Error(); strings.Contains(text, "line 10\n") || strings.Count(text, "> line 11\n") != 1 || strings.Count(text, "> line 20") != 1 {
					t.Errorf("not the last ten lines: %s", text)
				}
			}
			if !strings.Contains(errs["c"].Error(), "> worse and worse") || strings.Contains(errs["b"].Error(), "worse") {
				t.Errorf("%v\n%v", errs["b"], errs["c"])
			}
			for _, node := range []string{"a", "d"} {
				if errs[node] != nil {
					t.Errorf("%s: %v", node, errs[node])
				}
				b.is(node)
			}
			if b.heard("bad> line 7") != 1 {
				t.Errorf("not once: %q", b.said)
			}
		})
	}
}

// Nix ends at once when it cannot even try a derivation, whatever else is to do.
func TestWhatNixCannotTryStopsNobodyElse(t *testing.T) {
	b := building(t, nil, `let foreign = n: derivation { name = "foreign${n}"; system = "no-such-system"; builder = "/bin/sh"; args = [ "-c" DIR ]; }; in {
		a = drv "a" ": >$out" [ ]; b = drv "b" ": >$out" [ (foreign "1") ]; c = drv "c" ": >$out" [ (foreign "2") ]; d = drv "d" ": >$out" [ ]; }`)
	errs := b.together("a", "b", "c", "d")
	for _, node := range []string{"a", "d"} {
		if errs[node] != nil {
			t.Errorf("%s: %v", node, errs[node])
		}
		b.is(node)
	}
	for node, drv := range map[string]string{"b": "foreign1", "c": "foreign2"} {
		if err := errs[node]; err == nil || !strings.Contains(err.Error(), "this machine cannot build for no-such-system: have the host do it (deployment.buildOnTarget)") || !strings.Contains(err.Error(), drv) {
			t.Errorf("%s: %v", node, err)
		}
	}
}

func TestANodeGoesOnWhileOthersAreStillBeingBuilt(t *testing.T) {
	b := building(t, [][2]string{{"max-jobs", "3"}}, `{
		quick = drv "quick" ": >$out" [ (drv "first" ": >$out" [ ]) ];
		slow = drv "slow" ": >$out" [ (drv "kernel" "read x <${DIR}/gate; : >$out" [ ]) ]; }`)
	open := b.gate("gate")
	slow := b.start(t.Context(), "slow")
	if err := <-b.start(t.Context(), "quick"); err != nil {
		t.Fatal(err)
	}
	b.is("quick")
	until(t, "it is known what slow waits for", func() bool { return strings.Contains(b.WaitsFor("slow"), "kernel") })
	if text := b.WaitsFor("slow"); text != "waiting for kernel, 2 of 4 builds left" {
		t.Errorf("it waits for %q", text)
	}
	select {
	case err := <-slow:
		t.Fatalf("the gate is closed: %v", err)
	default:
	}
	open()
	if err := <-slow; err != nil {
		t.Fatal(err)
	}
	if n := b.called("--realise"); n != 1 {
		t.Errorf("%d processes", n)
	}
}

func TestAFailureIsToldWhileTheOtherBuildsContinue(t *testing.T) {
	b := building(t, [][2]string{{"max-jobs", "3"}}, `let bad = drv "bad" "read x <${DIR}/bad; exit 1" [ ]; in {
		a = drv "a" ": >$out" [ bad ]; b = drv "b" ": >$out" [ bad ]; slow = drv "slow" "read x <${DIR}/slow; exit 1" [ ]; }`)
	fail, open := b.gate("bad"), b.gate("slow")
	results := []<-chan error{b.start(t.Context(), "a"), b.start(t.Context(), "b")}
	slow := b.start(t.Context(), "slow")
	until(t, "it is known who needs what", func() bool { return strings.HasPrefix(b.WaitsFor("slow"), "waiting for slow, ") })
	fail()
	until(t, "the failure is told", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return slices.Contains(b.notes, "bad failed to build, needed by a, b: the other builds continue")
	})
	open()
	for _, result := range append(results, slow) {
		if <-result == nil {
			t.Error("a node that needs what failed succeeded")
		}
	}
	// Nothing continues after the last.
	if failures := strings.Count(strings.Join(b.notes, "\n"), "failed to build"); failures != 1 {
		t.Errorf("notes: %q", b.notes)
	}
}

func TestNothingIsSaidOfWaitsBeforeItIsKnownWhoNeedsWhat(t *testing.T) {
	b := building(t, [][2]string{{"max-jobs", "2"}}, `let waits = n: drv n "echo ${n} runs >>${DIR}/log; echo hello of ${n}; read x <${DIR}/${n}; : >$out" [ ]; in
		{ a = waits "a"; b = waits "b"; }`)
	known, openA, openB := b.gate("query"), b.gate("a"), b.gate("b")
	results := []<-chan error{b.start(t.Context(), "a"), b.start(t.Context(), "b")}
	until(t, "both are being built", func() bool {
		text, _ := os.ReadFile(b.dir + "/log")
		return strings.Count(string(text), "runs") == 2
	})
	if text := b.WaitsFor("a"); text != "" || b.heard("hello") > 0 {
		t.Errorf("a waits for %q, and hears %q", text, b.said)
	}
	known()
	for _, node := range []string{"a", "b"} {
		until(t, "it is known what "+node+" waits for", func() bool { return b.WaitsFor(node) == "waiting for "+node+", 2 of 2 builds left" })
		until(t, node+" hears of its build", func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return slices.Equal(b.said[node], []string{"building " + node, node + "> hello of " + node})
		})
	}
	openA()
	openB()
	for _, result := range results {
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
}

func TestALateNodeWaitsForNoProcessOfOthers(t *testing.T) {
	b := building(t, [][2]string{{"max-jobs", "2"}}, `{ slow = drv "slow" "read x <${DIR}/gate; : >$out" [ ]; late = drv "late" ": >$out" [ ]; }`)
	open := b.gate("gate")
	slow := b.start(t.Context(), "slow")
	until(t, "slow is being built", func() bool { return b.heard("building slow") == 1 })
	if err := <-b.start(t.Context(), "late"); err != nil {
		t.Fatal(err)
	}
	open()
	if err := <-slow; err != nil {
		t.Fatal(err)
	}
}

// Two processes would each do as many builds as Nix may.
func TestALateNodeWaitsWhereNixMayDoNoMoreBuilds(t *testing.T) {
	b := building(t, [][2]string{{"max-jobs", "1"}}, `{ slow = drv "slow" "read x <${DIR}/gate; : >$out" [ ]; late = drv "late" "echo ran >${DIR}/ran; : >$out" [ ]; }`)
	open := b.gate("gate")
	slow := b.start(t.Context(), "slow")
	until(t, "slow is being built", func() bool { return b.heard("building slow") == 1 })
	late := b.start(t.Context(), "late")
	until(t, "it is known what late waits for", func() bool { return strings.Contains(b.WaitsFor("late"), "max-jobs") })
	if _, err := os.Stat(b.dir + "/ran"); err == nil {
		t.Error("two builds were done at once")
	}
	open()
	for _, result := range []<-chan error{slow, late} {
		if err := <-result; err != nil {
			t.Fatal(err)
		}
	}
}

func TestALateNodeMayNeedWhatIsBeingBuilt(t *testing.T) {
	b := building(t, [][2]string{{"max-jobs", "2"}}, `let kernel = drv "kernel" "echo built >>${DIR}/built; read x <${DIR}/gate; : >$out" [ ]; in
		{ slow = drv "slow" ": >$out" [ kernel ]; late = drv "late" ": >$out" [ kernel ]; }`)
	open := b.gate("gate")
	slow := b.start(t.Context(), "slow")
	until(t, "slow is being built", func() bool { return b.heard("building kernel") == 1 })
	late := b.start(t.Context(), "late")
	until(t, "it is known what late waits for", func() bool { return strings.Contains(b.WaitsFor("late"), "waiting for kernel") })
	open()
	for _, result := range []<-chan error{slow, late} {
		if err := <-result; err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(b.dir + "/built"); err != nil || string(text) != "built\n" {
		t.Errorf("built: %q, %v", text, err)
	}
}

func TestWhoLeavesStopsWhatNobodyElseWaitsFor(t *testing.T) {
	// The builder writes its process id before it waits.
	b := building(t, nil, `let s = drv "shared" "echo $$ >${DIR}/pid.new; mv ${DIR}/pid.new ${DIR}/pid; read x <${DIR}/gate; : >$out" [ ]; in
		{ a = drv "a" ": >$out" [ s ]; b = drv "b" ": >$out" [ s ]; }`)
	if err := syscall.Mkfifo(b.dir+"/gate", 0o600); err != nil {
		t.Fatal(err)
	}
	gone := errors.New("the user has gone")
	first, leaveFirst := context.WithCancelCause(t.Context())
	second, leaveSecond := context.WithCancelCause(t.Context())
	defer leaveFirst(nil)
	defer leaveSecond(nil)
	a, bb := b.start(first, "a"), b.start(second, "b")
	until(t, "the builder runs", func() bool { _, err := os.Stat(b.dir + "/pid"); return err == nil })
	text, err := os.ReadFile(b.dir + "/pid")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	leaveFirst(gone)
	if err := <-a; !errors.Is(err, gone) {
		t.Errorf("a: %v", err)
	}
	if syscall.Kill(pid, 0) != nil {
		t.Error("the build has ended, though b waits for it")
	}
	leaveSecond(gone)
	if err := <-bb; !errors.Is(err, gone) {
		t.Errorf("b: %v", err)
	}
	until(t, "the builder has ended", func() bool { return syscall.Kill(pid, 0) != nil })
	b.Close()
}

func TestClosingEndsEveryBuild(t *testing.T) {
	b := building(t, nil, `{ a = drv "a" "read x <${DIR}/gate; : >$out" [ ]; }`)
	if err := syscall.Mkfifo(b.dir+"/gate", 0o600); err != nil {
		t.Fatal(err)
	}
	a := b.start(t.Context(), "a")
	until(t, "a is being built", func() bool { return b.heard("building a") == 1 })
	b.Close()
	if err := <-a; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestACrashOfOneNodeIsNoOthers(t *testing.T) {
	b := building(t, nil, `let s = drv "shared" "echo hello; : >$out" [ ]; in { a = drv "a" ": >$out" [ s ]; b = drv "b" ": >$out" [ s ]; }`)
	other := b.start(t.Context(), "b")
	system := b.systems["a"]
	system.Output = func(string) { panic("hunter2") }
	err := b.Build(t.Context(), system)
	if caught := (*crash.Error)(nil); !errors.As(err, &caught) {
		t.Errorf("a: %v", err)
	}
	if err := <-other; err != nil {
		t.Errorf("b: %v", err)
	}
}

func TestWhatIsWrongWithNixIsToldToEveryNode(t *testing.T) {
	const noBuilds = `(?i)unable to start any build|local builds are disabled` // 2.8, 2.34
	for name, c := range map[string]struct {
		options [][2]string
		env     [2]string
		says    string
	}{
		"no builds are allowed":  {options: [][2]string{{"max-jobs", "0"}}, says: noBuilds},
		"there is no daemon":     {env: [2]string{"NIX_REMOTE", "unix:///nowhere/socket"}, says: "cannot connect to socket at '/nowhere/socket'"},
		"the option has no name": {options: [][2]string{{"cores", "many"}, {"max-jobs", "0"}}, says: noBuilds},
		"nix is not there":       {env: [2]string{"PATH", "/nowhere"}, says: nix.ErrNoNix.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			b := building(t, c.options, `{ a = drv "a" ": >$out" [ ]; b = drv "b" ": >$out" [ ]; }`)
			if c.env[0] != "" {
				t.Setenv(c.env[0], c.env[1])
			}
			for node, err := range b.together("a", "b") {
				if err == nil || !regexp.MustCompile(c.says).MatchString(err.Error()) || strings.Count(err.Error(), "\n") > 3 {
					t.Errorf("%s: %v", node, err)
				}
			}
		})
	}
}
