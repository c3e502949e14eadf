package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// tree is a nixpkgs, and a module that makes a node of it.
type tree struct{ what, nixpkgs, module string }

// On a NixOS that is there everywhere, dear nodes cost about what an ordinary server
// does, 0.6 s and 0.4 GB; light ones a twentieth of that.
var (
	light = tree{"light nodes", "tests/nixos", "import ./load.nix 100"}
	dear  = tree{"dear nodes", "tests/nixos", "import ./load.nix 2000"}
)

// trees are those that evaluation is measured on: NixOS' own modules, too, where
// COLMENA_GO_TEST_NIXPKGS names a tree with them.
func trees() []tree {
	all := []tree{dear}
	if nixenv.IsReal() {
		all = append(all, tree{"servers of real NixOS", os.Getenv(nixenv.NixpkgsEnv), "./server.nix"})
	}
	return all
}

// evaluation measures commands that end with the evaluation, or with builds that
// cost nothing.
func (b *bench) evaluation() error {
	for _, t := range trees() {
		need, err := b.workers(t, 20)
		if err == nil {
			err = b.peers(t, 20)
		}
		if err == nil {
			err = b.firstBuilt(t, 20)
		}
		if err == nil {
			err = b.withinLimit(t, 20, need/2)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", t.what, err)
		}
	}
	return b.manyLight(300)
}

// workers compares processes side by side with one, and with four in turn, of which
// it returns the most memory that one takes, in bytes.
func (b *bench) workers(t tree, n int) (memory int64, err error) {
	if err := b.evaluated(t, n, "", false); err != nil {
		return 0, err
	}
	if _, err := b.follow("build"); err != nil { // nothing is built afterwards
		return 0, err
	}
	pairs := make([]pair, 3)
	for i := range pairs {
		side, err := b.follow("build")
		if err != nil {
			return 0, err
		}
		one, err := b.follow("build", "--eval-workers", "1")
		if err != nil {
			return 0, err
		}
		pairs[i] = pair{side.took, one.took}
	}
	four, memory, err := b.serial()
	if err != nil {
		return 0, err
	}
	middle := medianPair(pairs)
	// Under Linux' autogroup scheduling, two processes gain nothing beside others
	// that work: this needs a machine that is idle.
	b.say(fmt.Sprintf("%d %s, build of what is built", n, t.what), middle.took, middle.base, "one process", 0.6)
	b.say("  the same", middle.took, four, "4 processes in turn", 1.0/3)
	return memory, nil
}

// peers measures what it costs that each node reads an option of all others.
func (b *bench) peers(t tree, n int) error {
	var times [2]time.Duration
	for i, peers := range []bool{false, true} {
		if err := b.evaluated(t, n, "", peers); err != nil {
			return err
		}
		if _, err := b.follow("build"); err != nil {
			return err
		}
		r, err := b.follow("build")
		if err != nil {
			return err
		}
		times[i] = r.took
	}
	b.say("  each node reads an option of all others", times[1], times[0], "none does", 0)
	return nil
}

// firstBuilt looks how many nodes are evaluated when the first system is built, in
// the middle one of three runs, with as many processes as there are by default:
// nothing waits for all nodes, and builds go before evaluation.
func (b *bench) firstBuilt(t tree, n int) error {
	const bound = 4
	counts := make([]int, 3)
	for i := range counts {
		if err := b.evaluated(t, n, strconv.FormatInt(time.Now().UnixNano(), 10), false); err != nil {
			return err
		}
		r, err := b.follow("build")
		if err != nil {
			return err
		}
		for _, e := range r.events {
			if e.Event == "end" {
				break
			}
			if e.Event == "begin" && e.Step == "build" {
				counts[i]++
			}
		}
	}
	slices.Sort(counts)
	verdict := ""
	if counts[1] > bound {
		verdict = "  OVER"
		b.bad = append(b.bad, t.what+": first node built")
	}
	fmt.Printf("  when the first of them is built, so many are evaluated, in three runs: %v  (bound %d)%s\n", counts, bound, verdict)
	return nil
}

// withinLimit gives all processes together so many bytes.
func (b *bench) withinLimit(t tree, n int, bytes int64) error {
	if err := b.evaluated(t, n, "", false); err != nil {
		return err
	}
	limit, err := newMemoryGroup(bytes)
	if err != nil {
		fmt.Printf("  NOT MEASURED: memory under a limit: %v\n", err)
		return nil
	}
	defer limit.remove()
	r, err := b.run(limit.command(b.bin, "build", "-f", b.dir+"/hive.nix", "--log-format", "json"))
	if err != nil {
		return fmt.Errorf("within %d MiB: %w", bytes>>20, err)
	}
	killed := slices.ContainsFunc(r.events, func(e logged) bool { return strings.Contains(e.Message, "killed") })
	fmt.Printf("  %d %s within %d MiB, half of what one of four takes: done in %.1f s, at most %d MiB, processes killed: %t\n",
		n, t.what, bytes>>20, r.took.Seconds(), limit.peak()>>20, killed)
	return nil
}

// manyLight measures what the program itself takes.
func (b *bench) manyLight(n int) error {
	if err := b.evaluated(light, n, "", false); err != nil {
		return err
	}
	if _, err := b.follow("build"); err != nil {
		return err
	}
	// A list evaluates so little that no bound is set for it.
	for command, bound := range map[string]float64{"list": 0, "build": 0.05} {
		r, err := b.follow(command)
		if err != nil {
			return err
		}
		b.own(fmt.Sprintf("%d light nodes, %s", n, command), r, bound)
	}
	return nil
}

// seenFlake measures an apply that has nothing to do, of a clean flake that was
// evaluated before; its keys are files, as texts are evaluated each time.
func (b *bench) seenFlake() error {
	nixpkgs, err := filepath.Abs("tests/nixos")
	if err != nil {
		return err
	}
	keys := `deployment.keys = lib.genAttrs (builtins.genList (i: "key${toString i}") 20) (_: { keyFile = "` + b.dir + `/key"; });`
	if err := os.WriteFile(b.dir+"/key", []byte("secret"), 0o600); err != nil {
		return err
	}
	if err := b.hive(8, 0, "", "imports = [ { "+keys+" } ];"); err != nil {
		return err
	}
	script := `rm -rf "$1"; mkdir "$1"; cp hive.nix "$1"; cd "$1"
cat >flake.nix <<EOF
{ inputs.nixpkgs = { url = "path:$2"; flake = false; };
  outputs = { nixpkgs, ... }: { colmena = import ./hive.nix // { meta.nixpkgs = import nixpkgs { system = "x86_64-linux"; }; }; }; }
EOF
git init -q; git add .; nix flake lock; git add .; git -c user.name=b -c user.email=b commit -qm b`
	prepare := exec.Command("sh", "-ec", script, "sh", b.dir+"/flake", nixpkgs)
	prepare.Dir, prepare.Env = b.dir, b.env
	if out, err := prepare.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	apply := func() (time.Duration, error) {
		cmd := exec.Command(b.bin, "apply", "--json", "-p", "0", "-f", b.dir+"/flake")
		r, err := b.run(cmd)
		return r.took, err
	}
	if _, err := apply(); err != nil {
		return err
	}
	time.Sleep(3 * time.Second) // the units follow their keys
	bare, overSSH := make([]pair, 9), make([]pair, 9)
	for i := range bare {
		if bare[i].base, err = b.switches(8); err != nil {
			return err
		}
		if bare[i].took, err = apply(); err != nil {
			return err
		}
		overSSH[i].took = bare[i].took
		if overSSH[i].base, err = b.switchesOverSSH(8); err != nil {
			return err
		}
	}
	middle := medianPair(bare)
	b.say("apply of a clean flake seen before, nothing changed", middle.took, middle.base, "8 bare switch-to-configuration", 0)
	middle = medianPair(overSSH)
	b.say("  the same", middle.took, middle.base, "8 of them over ssh, in units", 1.15)
	return nil
}

// evaluated writes a hive of n nodes of a tree.
func (b *bench) evaluated(t tree, n int, stamp string, peers bool) error {
	nixpkgs, err := filepath.Abs(t.nixpkgs)
	if err != nil {
		return err
	}
	here, err := filepath.Abs("tests/bench/evaluation")
	if err != nil {
		return err
	}
	path := b.dir + "/wrapped"
	if err := os.MkdirAll(path+"/nixos/lib", 0o755); err != nil {
		return err
	}
	wrapper := fmt.Sprintf("arguments: import %s/small.nix %q (import %s/nixos/lib/eval-config.nix arguments)\n", here, stamp, nixpkgs)
	if err := os.WriteFile(path+"/nixos/lib/eval-config.nix", []byte(wrapper), 0o644); err != nil {
		return err
	}
	module := strings.Replace(t.module, "./", here+"/", 1)
	text := fmt.Sprintf("import %s/hive.nix { nixpkgs = %s; path = %q; count = %d; module = %s; peers = %t; }\n", here, nixpkgs, path, n, module, peers)
	return os.WriteFile(b.dir+"/hive.nix", []byte(text), 0o644)
}

// serial evaluates the hive the way Colmena does, and returns how long that takes
// and the most memory, in bytes, of its processes.
func (b *bench) serial() (took time.Duration, memory int64, err error) {
	here, err := filepath.Abs("tests/bench/evaluation")
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	for _, wanted := range []string{"meta", "names", "deployment", "systems"} {
		cmd := exec.Command("nix-instantiate", "--eval", "--strict", "--json", "--read-write-mode",
			"-E", fmt.Sprintf("(import %s/serial.nix (import %s/hive.nix)).%s", here, b.dir, wanted))
		var said bytes.Buffer
		cmd.Env, cmd.Stderr = b.env, &said
		if err := cmd.Run(); err != nil {
			return 0, 0, fmt.Errorf("%s: %w: %s", wanted, err, &said)
		}
		memory = max(memory, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss<<10)
	}
	return time.Since(begin), memory, nil
}
