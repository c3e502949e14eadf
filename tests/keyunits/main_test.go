// Package keyunits_test switches real hosts to systems that import nix/module.nix
// and watches what becomes of key files there. No upload is involved: files are
// put where the program would put them.
package keyunits_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/tests/fleet"
	"github.com/colmena-go/colmena-go/tests/nixenv"
)

func TestMain(m *testing.M) { fleet.Main(m) }

// host is the one host of these tests.
type host struct {
	t     *testing.T
	fleet *fleet.Fleet
	real  *fleet.Host
}

// onHost returns a host without keys and key units of earlier tests.
func onHost(t *testing.T) *host {
	t.Helper()
	f := fleet.Require(t, 1)
	h := &host{t: t, fleet: f, real: f.Hosts[0]}
	h.activates(h.builtAs("{ }"))
	h.sh("find /run/keys /srv -mindepth 1 -delete")
	return h
}

// sh runs a script on the host, which must succeed.
func (h *host) sh(script string) string {
	h.t.Helper()
	out, err := h.real.Shell(script)
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// evaluated asks Nix for an expression about a system of a module's.
func evaluated(t *testing.T, program, module, attribute string, more ...string) (stdout, stderr string, err error) {
	t.Helper()
	ours, err := filepath.Abs("../../nix/module.nix")
	if err != nil {
		t.Fatal(err)
	}
	expr := fmt.Sprintf(`(import %s/nixos/lib/eval-config.nix { modules = [ %s ({ ... }: {
  networking.hostName = "host"; system.stateVersion = "26.05"; boot.loader.grub.enable = false; fileSystems."/".device = "/dev/vda1";
}) ({ lib, pkgs, config, ... }: %s) ]; }).config.%s`, nixenv.Nixpkgs(t), ours, module, attribute)
	cmd := exec.Command(program, append(more, "-E", expr)...)
	cmd.Env = nixenv.Env(t)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return strings.TrimSpace(out.String()), errs.String(), err
}

// sentinel is a key of every system that is built: its unit tells that the watcher
// has looked.
const sentinel = "zz-sentinel"

// built is a system of a module's and of the sentinel, built and copied to the host.
func (h *host) built(module string) string {
	h.t.Helper()
	return h.builtAs("{ imports = [ (" + module + `) { deployment.keys.` + sentinel + ` = { text = "v"; destDir = "/run/sentinel"; }; } ]; }`)
}

// builtAs is a system of a module's alone.
func (h *host) builtAs(module string) string {
	h.t.Helper()
	path, stderr, err := evaluated(h.t, "nix-build", module, "system.build.toplevel", "--no-out-link")
	if err != nil {
		h.t.Fatalf("the system does not build: %v\n%s", err, stderr)
	}
	cmd := exec.Command("nix", "copy", "--no-check-sigs", "--to", "ssh://root@"+h.real.Name, path)
	cmd.Env = append(nixenv.Env(h.t), "NIX_SSHOPTS=-F "+h.fleet.SSHConfig)
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("copying %s: %v\n%s", path, err, out)
	}
	return path
}

// activate runs switch-to-configuration and returns its exit status and output.
func (h *host) activate(system, action string) (int, string) {
	h.t.Helper()
	out := h.sh(system + "/bin/switch-to-configuration " + action + " 2>&1; echo EXIT $?")
	output, status, _ := strings.Cut(out, "EXIT ")
	var exit int
	if _, err := fmt.Sscan(status, &exit); err != nil {
		h.t.Fatalf("no exit status in %q", out)
	}
	return exit, output
}

// to switches to a module's system, which must succeed.
func (h *host) to(module string) string {
	h.t.Helper()
	return h.activates(h.built(module))
}

// activates switches to a system, which must succeed.
func (h *host) activates(system string) string {
	h.t.Helper()
	exit, output := h.activate(system, "switch")
	if exit != 0 {
		h.t.Fatalf("switch-to-configuration ended with %d:\n%s", exit, output)
	}
	return output
}

// becomes waits for a unit's state and returns how long that took.
func (h *host) becomes(unit, want string) time.Duration {
	h.t.Helper()
	var got string
	begin := time.Now()
	for time.Since(begin) < 10*time.Second {
		if got = h.sh("systemctl show -P ActiveState -- '" + unit + "'"); got == want {
			return time.Since(begin)
		}
		time.Sleep(10 * time.Millisecond)
	}
	h.t.Errorf("%s is %s, want %s", unit, got, want)
	return 0
}

// settled waits for the watcher to have looked at what was done: the look that sees
// the sentinel go began after the one that saw it come, and that saw it after all else.
func (h *host) settled() {
	h.t.Helper()
	h.sh("mkdir -p /run/sentinel; echo v >/run/sentinel/" + sentinel)
	h.becomes(unit(sentinel), "active")
	h.sh("rm /run/sentinel/" + sentinel)
	h.becomes(unit(sentinel), "inactive")
	h.looked()
}

// looked waits for the end of a look that is under way, and for what it asked of systemd.
func (h *host) looked() {
	h.t.Helper()
	h.sh("systemctl start colmena-go-keys")
}

// mounted runs a script that mounts something on the way to a key, and waits for
// the watcher to have been told.
func (h *host) mounted(script string) {
	h.t.Helper()
	const hook = "colmena-go-keys-mounted.service"
	before := h.invocation(hook)
	h.sh(script)
	for begin := time.Now(); h.invocation(hook) == before; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > 10*time.Second {
			h.t.Fatalf("%s: nobody is told", script)
		}
	}
	h.becomes(hook, "inactive")
	h.looked()
}

func (h *host) invocation(unit string) string {
	h.t.Helper()
	return h.sh("systemctl show -P InvocationID -- '" + unit + "'")
}

func unit(attr string) string { return hive.Key{Attr: attr}.Unit() }
