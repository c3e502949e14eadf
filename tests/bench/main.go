// Command bench measures on real hosts, and prints every figure as a ratio to a
// baseline of the same run: machines are noisy, ratios less so. Its arguments are
// the parts to measure; all without any.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/colmena-go/colmena-go/tests/fleet"
)

func main() {
	if len(os.Args) > 3 && os.Args[1] == shakeHands {
		if err := logIn(os.Args[2], os.Args[3], os.Args[4:]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "bench: booting hosts needs root")
		os.Exit(1)
	}
	fleet.Enter()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench: FAILED:", err)
		os.Exit(1)
	}
}

type bench struct {
	fleet *fleet.Fleet
	dir   string
	env   []string
	bin   string
	bad   []string
}

func run() error {
	f, err := fleet.Boot(context.Background(), 21)
	if err != nil {
		return err
	}
	defer f.Down()
	b := &bench{fleet: f, dir: f.Dir + "/bench"}
	if err := b.prepare(); err != nil {
		return err
	}
	for _, part := range []struct {
		name    string
		measure []func() error
	}{
		{"hosts", []func() error{b.oneHost, b.manyHosts, b.unchanged, b.withUnits, b.shared}},
		{"idle", []func() error{b.idle}},
		{"evaluation", []func() error{b.evaluation}},
		{"flake", []func() error{b.seenFlake}},
		{"many", []func() error{b.applyMany}},
		{"wire", []func() error{b.overAWire}},
		{"thousand", []func() error{b.thousand}},
	} {
		if wanted := os.Args[1:]; len(wanted) > 0 && !slices.Contains(wanted, part.name) {
			continue
		}
		for _, measure := range part.measure {
			if err := measure(); err != nil {
				return err
			}
		}
	}
	if len(b.bad) > 0 {
		return fmt.Errorf("over the bound: %s", strings.Join(b.bad, "; "))
	}
	fmt.Println("bench: every ratio is within its bound")
	return nil
}

func (b *bench) prepare() error {
	if err := os.MkdirAll(b.dir+"/conf", 0o755); err != nil {
		return err
	}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	// max-jobs as NixOS sets it.
	conf := "experimental-features = nix-command flakes\nmax-jobs = auto\nsandbox = false\nbuild-users-group =\nsubstituters =\nflake-registry =\n"
	if err := os.WriteFile(b.dir+"/conf/nix.conf", []byte(conf), 0o644); err != nil {
		return err
	}
	b.env = append(os.Environ(), "NIX_CONF_DIR="+b.dir+"/conf", "HOME="+b.dir, "XDG_CACHE_HOME="+b.dir+"/cache",
		"NIX_PATH=nixpkgs="+here+"/tests/nixos", "SSH_CONFIG_FILE="+b.fleet.SSHConfig)
	b.bin = filepath.Join(b.dir, "colmena-go")
	if out, err := exec.Command("go", "build", "-o", b.bin, ".").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	for _, h := range b.fleet.Hosts { // host keys are learned before anything is timed
		if err := b.ssh(h.Name, "true").Run(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) ssh(host, command string) *exec.Cmd {
	return exec.Command("ssh", "-F", b.fleet.SSHConfig, host, command)
}

// hive writes n nodes with k keys of 811 bytes each; content makes them differ.
func (b *bench) hive(n, k int, content, more string) error {
	text := fmt.Sprintf(`let keys = builtins.listToAttrs (builtins.genList (i: {
  name = "key${toString i}"; value.text = "%s" + builtins.substring 0 804 (builtins.concatStringsSep "" (builtins.genList (j: toString (i + j)) 400));
}) %d); in { defaults = { lib, pkgs, name, ... }: { deployment.keys = keys; boot.loader.grub.enable = false;
  fileSystems."/".device = "/dev/vda1"; system.stateVersion = "26.05"; %s };`, content, k, more)
	for _, h := range b.fleet.Hosts[:n] {
		text += h.Name + " = { };\n"
	}
	return os.WriteFile(b.dir+"/hive.nix", []byte(text+"}"), 0o644)
}

// deploy runs the program; delivery is from the first dial to the last result,
// whole is with its start and the evaluation, memory its peak in MiB.
func (b *bench) deploy(args ...string) (delivery, whole time.Duration, memory int64, err error) {
	cmd := exec.Command(b.bin, append(args, "--json", "-p", "0", "-f", b.dir+"/hive.nix")...)
	cmd.Env = b.env
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, 0, 0, fmt.Errorf("%w: %s", err, &said)
	}
	whole = time.Since(begin)
	var document struct{ Results []struct{ Seconds float64 } }
	if err := json.Unmarshal(out.Bytes(), &document); err != nil {
		return 0, 0, 0, err
	}
	for _, r := range document.Results {
		delivery = max(delivery, time.Duration(r.Seconds*float64(time.Second)))
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return delivery, whole, usage.Maxrss >> 10, nil
}

// median of an odd number of runs.
func median(times ...time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// floor is how long n bare `ssh host true` take at once.
func (b *bench) floor(n int) (time.Duration, error) {
	errs := make([]error, n)
	begin := time.Now()
	var all sync.WaitGroup
	for i, h := range b.fleet.Hosts[:n] {
		all.Go(func() { errs[i] = b.ssh(h.Name, "true").Run() })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	return time.Since(begin), nil
}

// say prints a ratio and remembers one that is over its bound (0: none is set).
func (b *bench) say(what string, took, base time.Duration, baseline string, bound float64) {
	ratio := float64(took) / float64(base)
	verdict := ""
	if bound > 0 {
		verdict = fmt.Sprintf("  (bound %.4g)", bound)
		if ratio > bound {
			verdict += "  OVER"
			b.bad = append(b.bad, what)
		}
	}
	fmt.Printf("%-58s %7.3f s = %6.3f x %s of %.3f s%s\n", what, took.Seconds(), ratio, baseline, base.Seconds(), verdict)
}

// uploads measures several generations of keys, each beside its floor.
func (b *bench) uploads(n, k int) (delivery, whole, floor time.Duration, memory int64, err error) {
	var deliveries, wholes, floors []time.Duration
	for _, generation := range []string{"A", "B", "C", "D", "E"} {
		if err = b.hive(n, k, generation, ""); err != nil {
			return
		}
		base, err := b.floor(n)
		if err != nil {
			return 0, 0, 0, 0, err
		}
		d, w, m, err := b.deploy("upload-keys")
		if err != nil {
			return 0, 0, 0, 0, err
		}
		deliveries, wholes, floors, memory = append(deliveries, d), append(wholes, w), append(floors, base), max(memory, m)
	}
	return median(deliveries...), median(wholes...), median(floors...), memory, nil
}

func (b *bench) oneHost() error {
	delivery, whole, floor, memory, err := b.uploads(1, 200)
	if err != nil {
		return err
	}
	begin := time.Now()
	for i := range 200 {
		cmd := b.ssh("host1", fmt.Sprintf("umask 077; cat >/run/keys/.new && mv /run/keys/.new /run/keys/key%d", i))
		cmd.Stdin = strings.NewReader(strings.Repeat("x", 811))
		if err := cmd.Run(); err != nil {
			return err
		}
	}
	each := time.Since(begin)
	b.say("200 changed keys to 1 host, delivery", delivery, floor, "ssh host true", 1.5)
	b.say("  the same", delivery, each, "one ssh per key", 0.01)
	b.say("  upload-keys with evaluation", whole, floor, "ssh host true", 0)
	fmt.Printf("  memory at most %d MiB, of the program or of Nix, whichever is larger\n", memory)
	return nil
}

func (b *bench) manyHosts() error {
	delivery, whole, floor, memory, err := b.uploads(21, 201)
	if err != nil {
		return err
	}
	b.say("201 changed keys to each of 21 hosts, delivery", delivery, floor, "21 ssh true at once", 2)
	b.say("  upload-keys with evaluation", whole, floor, "21 ssh true at once", 5)
	fmt.Printf("  memory at most %d MiB, of the program or of Nix, whichever is larger\n", memory)
	return nil
}

// unchanged measures an apply that has nothing to do.
func (b *bench) unchanged() error {
	if err := b.hive(8, 20, "U", ""); err != nil {
		return err
	}
	apply := func() (time.Duration, error) {
		_, whole, _, err := b.deploy("apply")
		return whole, err
	}
	if _, err := apply(); err != nil {
		return err
	}
	time.Sleep(3 * time.Second) // the units follow their keys
	pairs := make([]pair, 9)
	for i := range pairs {
		var err error
		if pairs[i].base, err = b.switches(8); err != nil {
			return err
		}
		if pairs[i].took, err = apply(); err != nil {
			return err
		}
	}
	middle := medianPair(pairs)
	b.say("apply of 8 hosts x 20 keys, nothing changed, all of it", middle.took, middle.base, "8 bare switch-to-configuration", 1.5)
	return b.unknownRefused(apply)
}

// unknownRefused measures what it costs to look at the systems that a host has: it
// is asked once, whatever is to be known.
func (b *bench) unknownRefused(apply func() (time.Duration, error)) error {
	measure := func(more string) (time.Duration, error) {
		if err := b.hive(8, 20, "U", more); err != nil {
			return 0, err
		}
		return apply()
	}
	pairs := make([]pair, 7)
	for i := range pairs {
		var err error
		if pairs[i].base, err = measure(""); err != nil {
			return err
		}
		if pairs[i].took, err = measure("deployment.replaceUnknownProfiles = false;"); err != nil {
			return err
		}
	}
	middle := medianPair(pairs)
	b.say("  the same with replaceUnknownProfiles = false", middle.took, middle.base, "without", 1.1)
	return nil
}

// switches is how long the switches of n hosts to what they run take at once.
func (b *bench) switches(n int) (time.Duration, error) {
	errs := make([]error, n)
	begin := time.Now()
	var all sync.WaitGroup
	for i, h := range b.fleet.Hosts[:n] {
		all.Go(func() { _, errs[i] = h.Shell("/run/current-system/bin/switch-to-configuration switch") })
	}
	all.Wait()
	return time.Since(begin), errors.Join(errs...)
}

// switchesOverSSH is how long the same takes with what no deployer can do without: a
// login, and a unit that outlives it.
func (b *bench) switchesOverSSH(n int) (time.Duration, error) {
	const command = `systemd-run --quiet --wait -p Type=exec -E PATH="$PATH:/run/current-system/sw/bin" /run/current-system/bin/switch-to-configuration switch`
	errs := make([]error, n)
	begin := time.Now()
	var all sync.WaitGroup
	for i, h := range b.fleet.Hosts[:n] {
		all.Go(func() {
			// The default of some versions costs them more than all else here.
			errs[i] = exec.Command("ssh", "-F", b.fleet.SSHConfig, "-o", "KexAlgorithms=curve25519-sha256", h.Name, command).Run()
		})
	}
	all.Wait()
	return time.Since(begin), errors.Join(errs...)
}

// shared measures nodes that need one new derivation, which takes 0.3 s.
func (b *bench) shared() error {
	build := func(selector string) (time.Duration, error) {
		more := fmt.Sprintf(`networking.hostName = name;
			system.extraDependencies = [ (pkgs.runCommand "shared" { } "sleep 0.3; echo %d >$out") ];`, time.Now().UnixNano())
		if err := b.hive(4, 0, "", more); err != nil {
			return 0, err
		}
		took, _, _, err := b.deploy("build", "--on", selector)
		return took, err
	}
	pairs := make([]pair, 9)
	for i := range pairs {
		var err error
		if pairs[i].base, err = build(b.fleet.Hosts[0].Name); err != nil {
			return err
		}
		if pairs[i].took, err = build("*"); err != nil {
			return err
		}
	}
	middle := medianPair(pairs)
	b.say("4 nodes sharing a new derivation, build", middle.took, middle.base, "one node", 1.3)
	return nil
}

// pair is a measurement and its baseline, taken one after the other, since a
// machine's speed changes within a run.
type pair struct{ took, base time.Duration }

// medianPair has the median ratio of an odd number of pairs.
func medianPair(pairs []pair) pair {
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Compare(float64(a.took)/float64(a.base), float64(b.took)/float64(b.base))
	})
	return pairs[len(pairs)/2]
}

// withUnits measures keys whose units start services, on a host with a system.
func (b *bench) withUnits() error {
	if err := b.hive(1, 200, "V", ""); err != nil {
		return err
	}
	if _, _, _, err := b.deploy("apply"); err != nil {
		return err
	}
	host := b.fleet.Hosts[0]
	begin := time.Now()
	for {
		active, err := host.Shell(`systemctl list-units --plain --no-legend --state=active "key*-key.service" | wc -l`)
		if err != nil {
			return err
		}
		if strings.TrimSpace(active) == "200" {
			break
		}
		if time.Since(begin) > time.Minute {
			return fmt.Errorf("only %s of 200 key units are active after a minute", strings.TrimSpace(active))
		}
		time.Sleep(50 * time.Millisecond)
	}
	fmt.Printf("200 new keys with units: all active %.1f s after apply's end\n", time.Since(begin).Seconds())
	delivery, whole, floor, _, err := b.uploads(1, 200)
	if err != nil {
		return err
	}
	b.say("200 changed keys to 1 host with key units, delivery", delivery, floor, "ssh host true", 0)
	b.say("  upload-keys with evaluation", whole, floor, "ssh host true", 0)
	time.Sleep(2 * time.Second) // the watcher has looked at the last upload
	count, err := host.Processes()
	if err != nil {
		return err
	}
	fmt.Printf("  resident on the host for 200 keys: %d process(es)\n", count["inotifywait"])
	return nil
}
