// Package hosts_test runs the program against real hosts and asserts what is on
// them afterwards, not what the program says.
package hosts_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/tests/fleet"
	"github.com/colmena-go/colmena-go/tests/nixenv"
	"github.com/colmena-go/colmena-go/tests/schemas"
)

func TestMain(m *testing.M) { fleet.Main(m) }

// program is the binary under test, built once.
var program = sync.OnceValues(func() (string, error) {
	path, err := filepath.Abs("../../.cache/colmena-go-test")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", path, "../..").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// deployer is a machine's working copy of a hive, and the program to apply it.
type deployer struct {
	t     *testing.T
	fleet *fleet.Fleet
	dir   string
	env   []string
}

// deploying returns a deployer with the fleet's first n hosts, whose keys and
// systems of earlier tests are gone.
func deploying(t *testing.T, n int) *deployer {
	t.Helper()
	f := fleet.Require(t, n)
	d := &deployer{t: t, fleet: f, dir: t.TempDir()}
	d.env = append(nixenv.Env(t), "NIX_PATH=nixpkgs="+nixenv.Nixpkgs(t), "SSH_CONFIG_FILE="+f.SSHConfig,
		"CI=", "GITHUB_ACTIONS=") // wherever the tests run, somebody looks on
	for _, h := range f.Hosts[:n] {
		d.on(h.Name, `systemctl stop colmena-go-keys 2>/dev/null; for u in $(systemctl list-units --plain --no-legend "*-key.service" | cut -d" " -f1); do systemctl stop -- "$u"; done
find /run/keys -mindepth 1 -delete; rm -rf /srv/* /run/colmena-go /var/lib/colmena-go; [ -S /run/dbus/system_bus_socket ]`)
	}
	return d
}

// hive writes hive.nix. Every node gets what each NixOS system must set.
func (d *deployer) hive(text string) {
	d.t.Helper()
	const common = `defaults = { lib, ... }: {
    boot.loader.grub.enable = false; fileSystems."/".device = "/dev/vda1"; system.stateVersion = "26.05";
  };`
	d.write("hive.nix", strings.Replace(text, "{", "{ "+common, 1))
}

func (d *deployer) write(name, text string) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

func (d *deployer) read(name string) string {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

// outcome is how a run of the program ended.
type outcome struct {
	code           int
	stdout, stderr string
	results        map[string]result
}

type result struct {
	Node, Status, Step, Error string
	Toplevel                  string
	RebootNeeded, Rebooted    bool
	Output                    []string
	Bytes                     int64
	Steps                     []struct {
		Step, Status string
		Begin        time.Time
		Seconds      float64
	}
	Keys  []struct{ Name, Path, Change, Note string }
	Units []struct{ Name, Job, Outcome, Note string }
}

// toplevel of a node that succeeded.
func (o outcome) toplevel(t *testing.T, node string) string {
	t.Helper()
	if o.results[node].Toplevel == "" {
		t.Fatalf("%s has no toplevel:\n%s", node, o.stderr)
	}
	return o.results[node].Toplevel
}

// change of a key, by its name.
func (r result) change(key string) string {
	for _, k := range r.Keys {
		if k.Name == key {
			return k.Change
		}
	}
	return "not there"
}

func (d *deployer) command(args ...string) *exec.Cmd {
	d.t.Helper()
	path, err := program()
	if err != nil {
		d.t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Env = d.dir, d.env
	return cmd
}

// run runs the program and reads its JSON, if it was asked for any.
func (d *deployer) run(args ...string) outcome {
	d.t.Helper()
	cmd := d.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		d.t.Fatal(err)
	}
	o := outcome{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String(), results: map[string]result{}}
	if schema := schemaOf(args); schema != "" && stdout.Len() > 0 {
		if err := schemas.Validate(schema, stdout.Bytes()); err != nil {
			d.t.Errorf("colmena-go %s: %v", strings.Join(args, " "), err)
		}
	}
	var document struct{ Results []result }
	if json.Unmarshal(stdout.Bytes(), &document) == nil {
		for _, r := range document.Results {
			o.results[r.Node] = r
		}
	}
	return o
}

// schemaOf is the schema of what a command line prints on standard output, "" for none.
func schemaOf(args []string) string {
	// What follows a -- is another program's.
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	switch {
	case slices.Contains(args, "--json-events"):
		return "events"
	case !slices.Contains(args, "--json"), slices.Contains(args, "--watch"):
		return ""
	case slices.Contains(args, "--dry-run"):
		return "plan"
	}
	if args[0] == "keys" {
		return map[string]string{"list": "keys-list", "status": "keys-status", "diff": "plan"}[args[1]]
	}
	for _, word := range args {
		switch word {
		case "apply", "apply-local", "build", "upload-keys", "reboot":
			return "results"
		case "diff", "exec", "list", "plan", "status":
			return word
		}
	}
	return ""
}

// must runs the program, which must succeed, with --json.
func (d *deployer) must(args ...string) outcome {
	d.t.Helper()
	o := d.run(append(args, "--json")...)
	if o.code != 0 {
		d.t.Fatalf("colmena-go %s: exit %d:\n%s%s", strings.Join(args, " "), o.code, o.stderr, o.stdout)
	}
	return o
}

func (d *deployer) host(name string) *fleet.Host {
	for _, h := range d.fleet.Hosts {
		if h.Name == name {
			return h
		}
	}
	d.t.Fatal("no host ", name)
	return nil
}

// on runs a script on a host, past SSH, and returns what it prints.
func (d *deployer) on(host, script string) string {
	d.t.Helper()
	out, err := d.host(host).Shell(script)
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// has asserts a file's content, owner, group and mode ("alice users 640").
func (d *deployer) has(host, path, content, attributes string) {
	d.t.Helper()
	text, err := os.ReadFile(d.host(host).Path(path))
	if err != nil {
		d.t.Errorf("%s: %v", host, err)
		return
	}
	if string(text) != content {
		d.t.Errorf("%s:%s has other content", host, path)
	}
	if got := d.on(host, fmt.Sprintf("stat -c '%%U %%G %%a' '%s'", path)); got != attributes {
		d.t.Errorf("%s:%s is %q, want %q", host, path, got, attributes)
	}
}

// state waits for a unit to be in a state; units follow their keys shortly.
func (d *deployer) state(host, unit, want string) {
	d.t.Helper()
	var got string
	for range 100 {
		if got = d.on(host, "systemctl show -P ActiveState -- '"+unit+"'"); got == want {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	d.t.Errorf("%s: %s is %s, want %s", host, unit, got, want)
}

// untouched asserts that an upload that failed left nothing behind on a host.
func (d *deployer) untouched(host string) {
	d.t.Helper()
	if left := d.on(host, `find / -xdev -name '.colmena-go*' 2>/dev/null; find /run/keys -name '.colmena-go*'; cat /run/colmena-go/stages 2>/dev/null || :`); left != "" {
		d.t.Errorf("%s: left behind: %s", host, left)
	}
}
