package hosts_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/tests/schemas"
	"github.com/colmena-go/colmena-go/tests/typist"
)

// outlook is what plan --json says of a node.
type outlook struct {
	Node, Status, Step, Error string

	Current, Next, Wanted *struct{ Path, NixOS string }
	Same                  *bool

	Copy *struct {
		Bytes int64
		Paths int
	}
	Packages *struct {
		Changed, Added, Removed []struct {
			Name     string
			Old, New []string
		}
	}
	Units *struct{ Stop, Restart, Reload, Start, Keep []string }
	Keys  []struct {
		Name, Path, Change, Note string
		New                      bool
		Differs                  []string
	}
	KeyUnits []struct {
		Name, Job string
		Keys      []string
	}
	Reboots bool
	Reboot  []string
	Foreign []struct {
		Path        string
		Runs, Boots bool
	}
	Unknown []string
}

// foresees runs a command that only looks, with --json, and returns what it says of each node.
func (d *deployer) foresees(code int, args ...string) map[string]outlook {
	d.t.Helper()
	o := d.run(append(args, "--json")...)
	if o.code != code {
		d.t.Fatalf("colmena-go %s: exit %d, want %d:\n%s%s", strings.Join(args, " "), o.code, code, o.stderr, o.stdout)
	}
	var document struct{ Results []outlook }
	if err := json.Unmarshal([]byte(o.stdout), &document); err != nil {
		d.t.Fatal(err, o.stdout)
	}
	if err := schemas.Validate("plan", []byte(o.stdout)); err != nil {
		d.t.Error(err)
	}
	nodes := map[string]outlook{}
	for _, n := range document.Results {
		nodes[n.Node] = n
	}
	return nodes
}

// inodes are all of a host, with their times, but what its daemons (the one that follows
// keys, too) write by themselves, or whenever anybody
// logs in.
func (d *deployer) inodes(host string) string {
	d.t.Helper()
	return d.on(host, `find / /run /run/keys \( -path /proc -o -path /sys -o -path /dev -o -path /nix/store -o -path /run/systemd -o -path /run/log -o -path /run/user -o -path /run/dbus -o -path /var/log -o -path /run/utmp -o -path /run/colmena-go-keys -o -path /tmp \) -prune -o -xdev -printf '%p %i %n %m %U %G %T@ %C@\n' 2>/dev/null | sort`)
}

// newer are the lines of the one text that the other has not.
func newer(after, before string) string {
	old := map[string]bool{}
	for _, line := range strings.Split(before, "\n") {
		old[line] = true
	}
	return strings.Join(slices.DeleteFunc(strings.Split(after, "\n"), func(line string) bool { return old[line] }), "\n")
}

// aPlanLeaves is what a plan may touch on a host that is to get another system: Nix opens
// its database, and a dry activation is NixOS' own.
var aPlanLeaves = []string{"/nix/var/nix/db/db.sqlite-shm", "/nix/var/nix/db/db.sqlite-wal", "/etc/.pwd.lock", "/run/nixos"}

func TestAPlanOfAFleetThatIsUpToDateTouchesNoInode(t *testing.T) {
	d := deploying(t, 3)
	const key = `deployment.keys.early.text = "v"; deployment.keys.late = { text = "v"; uploadAt = "post-activation"; destDir = "/srv/a b"; };`
	d.hive(`{
  host1 = { ` + key + ` deployment.keys.theirs = { text = "v"; destDir = "/srv/user"; user = "1000"; }; };
  host2 = { ` + key + ` deployment.targetUser = "deployer"; };
  host3 = { environment.etc.three.text = "3"; };
}`)
	d.on("host1", "mkdir -p /srv/user; chown 1000 /srv/user")
	d.must("apply")
	before := map[string]string{}
	for _, host := range three {
		before[host] = d.inodes(host)
	}
	untouched := func(when string) {
		t.Helper()
		for _, host := range three {
			if changed := newer(d.inodes(host), before[host]); changed != "" {
				t.Errorf("%s: touched on %s:\n%s", when, host, changed)
			}
		}
	}
	o := d.run("plan")
	if o.code != 0 || !strings.HasSuffix(o.stdout, "\nnothing to do: 3 nodes are as wanted\n") {
		t.Errorf("exit %d:\n%s%s", o.code, o.stdout, o.stderr)
	}
	untouched("after a plan")
	if o := d.run("upload-keys", "--dry-run"); o.code != 0 || !strings.HasSuffix(o.stdout, "nothing to do: 3 nodes are as wanted\n") {
		t.Errorf("upload-keys --dry-run: exit %d:\n%s%s", o.code, o.stdout, o.stderr)
	}
	untouched("after upload-keys --dry-run")

	// Killed at any moment it leaves nothing either, and no process.
	for wait := 20 * time.Millisecond; wait < 400*time.Millisecond; wait += 60 * time.Millisecond {
		cmd := d.command("plan")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(wait) // the moment is what the test varies
		cmd.Process.Kill()
		cmd.Wait()
	}
	for _, host := range three {
		d.on(host, `i=0; while pgrep -f '^sh -c echo colmena-go' >/dev/null; do i=$((i + 1)); [ $i -lt 200 ] || exit 1; sleep 0.1; done`)
	}
	untouched("after plans that were killed")

	// Somebody's upload is not waited for, and told of.
	d.on("host2", `systemd-run --quiet --unit=holds flock -x /run/colmena-go/lock sleep 600; until ! flock -n /run/colmena-go/lock true; do sleep 0.05; done; stat -c %Y /run/colmena-go/lock >/dev/null`)
	defer d.on("host2", "systemctl stop holds")
	before["host2"] = d.inodes("host2")
	begin := time.Now()
	o = d.run("plan", "--on", "host2")
	if o.code != 0 || !strings.Contains(o.stderr, "another upload is under way on this host") || time.Since(begin) > 30*time.Second {
		t.Errorf("exit %d after %v:\n%s%s", o.code, time.Since(begin), o.stdout, o.stderr)
	}
	untouched("with an upload under way")
}

// planned is the node of a test as it is to be; each case changes something of it.
type planned struct {
	packages map[string]string // versions
	command  string            // of a service
	kernel   string
	keys     map[string]string // settings
	more     string
}

func (p planned) hive() string {
	var b strings.Builder
	fmt.Fprintf(&b, `{ host1 = { imports = [ %s ]; systemd.services.works = { wantedBy = [ "multi-user.target" ]; script = "exec sleep %s"; };`,
		fmt.Sprintf(withKernel, p.kernel, "p"), p.command)
	for _, name := range slices.Sorted(maps.Keys(p.packages)) {
		fmt.Fprintf(&b, ` environment.etc.%q.source = derivation { name = "%[1]s-%s"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo %[1]s >$out" ]; };`, name, p.packages[name])
	}
	for _, name := range slices.Sorted(maps.Keys(p.keys)) {
		fmt.Fprintf(&b, " deployment.keys.%q = { %s };", name, p.keys[name])
	}
	return b.String() + p.more + " }; }"
}

// summary is what matters of an outlook to the table below.
func (o outlook) summary() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if o.Packages != nil {
		for _, p := range o.Packages.Changed {
			add("%s %s→%s", p.Name, strings.Join(p.Old, ","), strings.Join(p.New, ","))
		}
		for _, p := range o.Packages.Added {
			add("+%s", p.Name)
		}
		for _, p := range o.Packages.Removed {
			add("-%s", p.Name)
		}
	}
	if o.Units != nil {
		for verb, names := range map[string][]string{"restart": o.Units.Restart, "stop": o.Units.Stop, "start": o.Units.Start, "reload": o.Units.Reload} {
			if slices.Contains(names, "works.service") {
				add("%s works", verb)
			}
		}
	}
	for _, k := range o.Keys {
		switch {
		case k.New:
			add("new %s", k.Name)
		case k.Change == "changed", k.Change == "mended":
			add("%s of %s", strings.Join(k.Differs, "+"), k.Name)
		case k.Change == "skipped":
			add("not %s", k.Name)
		}
	}
	if len(o.Reboot) > 0 {
		add("reboot")
	}
	if len(o.Foreign) > 0 {
		add("foreign")
	}
	return strings.Join(append([]string{o.Status}, parts...), ", ")
}

func TestWhatAPlanSaysIsWhatApplyThenDoes(t *testing.T) {
	d := deploying(t, 1)
	p := planned{packages: map[string]string{"openssl": "3.0.13"}, command: "1000", kernel: "/bin/sh", keys: map[string]string{
		"acme": `text = "one";`, "token": `text = "t"; destDir = "/srv/t";`, "late": `text = "l"; uploadAt = "post-activation";`,
	}}
	d.hive(p.hive())
	d.must("apply")
	d.on("host1", "ln -sfn $(readlink -e /run/current-system) /run/booted-system")
	t.Cleanup(func() { d.on("host1", "rm /run/booted-system") })
	for _, c := range []struct {
		name   string
		change func()
		goal   string
		want   string // summary of the outlook
	}{
		{"nothing", func() {}, "switch", "same"},
		{"a new package", func() { p.packages["htop"] = "3.3" }, "switch", "changed, +htop"},
		{"another version", func() { p.packages["openssl"] = "3.0.14" }, "switch", "changed, openssl 3.0.13→3.0.14"},
		{"a package less", func() { delete(p.packages, "htop") }, "switch", "changed, -htop"},
		{"a unit, once the system is there", func() { p.command = "2000"; d.hive(p.hive()); d.must("apply", "push") }, "switch", "changed, restart works"},
		{"a key's content", func() { p.keys["acme"] = `text = "two";` }, "switch", "changed, content of acme"},
		{"a key's owner, by hand", func() { d.on("host1", "chown 1000:1000 /srv/t/token") }, "switch", "changed, owner+group of token"},
		{"a key's mode", func() { p.keys["token"] = `text = "t"; destDir = "/srv/t"; permissions = "0640";` }, "keys", "changed, mode of token"},
		{"a new key, and the rest of the one before", func() { p.keys["extra"] = `text = "e";` }, "switch", "changed, new extra"},
		{"a key that moves", func() { p.keys["token"] = `text = "t"; destDir = "/srv/deep/er"; permissions = "0640";` }, "switch", "changed, new token"},
		{"a late key for an owner who is not there", func() {
			p.keys["late"] = `text = "later"; uploadAt = "post-activation"; user = "newcomer";`
			p.more = ` users.users.newcomer = { isSystemUser = true; group = "newcomer"; }; users.groups.newcomer = { };`
		}, "switch", "changed, content of late"},
		{"another kernel", func() { p.kernel = "/bin/cat" }, "switch", "changed, reboot"},
		{"back to the kernel that was booted", func() { p.kernel = "/bin/sh" }, "switch", "changed"},
		{"the profile set by hand", func() {
			d.on("host1", `mkdir -p /tmp/x/bin && ln -sf /bin/true /tmp/x/bin/switch-to-configuration && date +%N >/tmp/x/other && nix-env -p /nix/var/nix/profiles/system --set $(nix-store --add /tmp/x)`)
		}, "switch", "changed, foreign"},
		{"keys alone", func() { p.keys["acme"], p.command = `text = "three";`, "3000" }, "keys", "changed, content of acme"},
		{"test", func() {}, "test", "changed"},
		{"boot", func() { p.packages["nano"], p.keys["kept"] = "7.2", `text = "k"; destDir = "/srv/k";` }, "boot", "changed, +nano, not acme, new kept, not extra, not late"},
		{"boot again", func() {}, "boot", "same, not acme, not extra, not late"},
		{"and switch to it", func() {}, "switch", "changed, +nano"},
		{"push", func() { p.packages["tree"] = "2.1" }, "push", "changed, +tree"},
		{"push again", func() {}, "push", "same"},
		{"what the host builds", func() {
			p.packages["vim"], p.packages["tree"] = "9", "2.2"
			p.more += " deployment.buildOnTarget = true;"
		}, "switch", "changed"},
		{"again", func() {}, "switch", "same"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.t = t
			c.change()
			d.hive(p.hive())
			was, works := d.inodes("host1"), d.on("host1", "systemctl show -P InvocationID works")
			said := d.foresees(map[bool]int{true: 3}[strings.HasPrefix(c.want, "changed")], "plan", c.goal)["host1"]
			for _, line := range strings.Split(newer(d.inodes("host1"), was), "\n") {
				path, _, _ := strings.Cut(line, " ")
				if path != "" && !slices.ContainsFunc(aPlanLeaves, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") }) {
					t.Errorf("the plan touched %s", line)
				}
			}
			o := d.must("apply", c.goal)
			sort := func(text string) []string { parts := strings.Split(text, ", "); slices.Sort(parts); return parts }
			if got := said.summary(); !slices.Equal(sort(got), sort(c.want)) {
				t.Errorf("it says %q, want %q: %+v", got, c.want, said)
			}
			for _, k := range said.Keys {
				if got := o.results["host1"].change(k.Name); got != k.Change {
					t.Errorf("%s was to be %s and is %s", k.Name, k.Change, got)
				}
			}
			d.didCopy(said, o)
			if said.Wanted != nil {
				runs, boots, brings := said.Current.Path, said.Next.Path, said.Wanted.Path
				now := strings.Fields(d.on("host1", "readlink -e /run/current-system /nix/var/nix/profiles/system"))
				want := map[string][]string{"switch": {brings, brings}, "test": {brings, boots}, "boot": {runs, brings}, "push": {runs, boots}}[c.goal]
				if !slices.Equal(now, want) {
					t.Errorf("it runs and boots %v, want %v", now, want)
				}
			}
			restarted := d.on("host1", "systemctl show -P InvocationID works") != works
			if said.Units != nil && restarted != slices.Contains(said.Units.Restart, "works.service") {
				t.Errorf("the service was restarted: %v; the plan said %+v", restarted, said.Units)
			}
			again := d.foresees(0, "plan", c.goal)["host1"]
			if again.Status != "same" || !slices.Equal(again.Reboot, said.Reboot) {
				t.Errorf("after it, it says %+v", again)
			}
		})
		d.t = t
	}
}

// didCopy asserts that as much was copied as was said.
func (d *deployer) didCopy(said outlook, o outcome) {
	d.t.Helper()
	copied := regexp.MustCompile(`copied (.+) in (\d+) path`).FindStringSubmatch(o.stderr)
	switch {
	case said.Copy == nil:
	case copied == nil && said.Copy.Paths > 0:
		d.t.Errorf("nothing was copied, and %+v was said:\n%s", *said.Copy, o.stderr)
	case copied != nil && (copied[2] != fmt.Sprint(said.Copy.Paths) || copied[1] != event.Size(said.Copy.Bytes)):
		d.t.Errorf("%s in %s paths were copied, and %+v was said", copied[1], copied[2], *said.Copy)
	}
}

// One that cannot be asked is an error, and the others are told of.
func TestAPlanTellsOfAllOtherHostsWhereOneIsDead(t *testing.T) {
	d := deploying(t, 3)
	d.hive(`{ host1.deployment.keys.k.text = "v"; host2.deployment.keys.k.text = "v"; host3 = { deployment.keys.k.text = "v"; deployment.replaceUnknownProfiles = false; }; }`)
	d.on("host3", `mkdir -p /tmp/y/bin && ln -sf /bin/true /tmp/y/bin/switch-to-configuration && nix-env -p /nix/var/nix/profiles/system --set $(nix-store --add /tmp/y)`)
	if err := d.host("host2").StopSSHD(); err != nil {
		t.Fatal(err)
	}
	defer d.host("host2").StartSSHD()
	nodes := d.foresees(1, "plan")
	if got := nodes["host1"]; got.Status != "changed" || got.Keys[0].Change != "changed" {
		t.Errorf("host1: %+v", got)
	}
	if got := nodes["host2"]; got.Status != "failed" || got.Step != "connect" {
		t.Errorf("host2: %+v", got)
	}
	if got := nodes["host3"]; got.Status != "failed" || got.Step != "inspect" || !strings.Contains(got.Error, "replaceUnknownProfiles is false") {
		t.Errorf("host3: %+v", got)
	}
	if got := d.foresees(3, "plan", "--on", "host3", "--force-replace-unknown-profiles")["host3"]; len(got.Foreign) != 1 || !got.Foreign[0].Boots {
		t.Errorf("host3: %+v", got)
	}
}

// People are asked on the terminal, and what is done is what they were shown.
func TestPeopleAgreeToWhatIsDone(t *testing.T) {
	d := deploying(t, 2)
	hive := func(word string) {
		d.hive(fmt.Sprintf(`{ host1 = { environment.etc.agreed.text = "%s"; deployment.keys.agreed.text = "%[1]s"; deployment.keys.stays.keyFile = ./stays.key; deployment.keys.late = { text = "v"; uploadAt = "post-activation"; }; deployment.keys.comes.keyCommand = [ "sh" "-c" "sleep 1; echo v" ]; }; host2 = { }; }`, word))
	}
	d.env = append(d.env, "XDG_STATE_HOME="+filepath.Join(d.dir, "state"))
	d.write("stays.key", "v")
	hive("before")
	d.must("apply")
	hive("after")
	asked := func(meanwhile func(), answers ...string) (code int, shown string) {
		t.Helper()
		s := typist.Start(t, d.command("apply", "--ask", "--color", "never"))
		for i, answer := range answers {
			before := s.Await("do this to 1 node? (yes or no): ")
			if i == 0 {
				if !strings.Contains(before, "1 of 2 nodes would change") {
					t.Errorf("before the question stands\n%s", before)
				}
				meanwhile()
			}
			s.Type(answer)
		}
		return s.Wait(), s.Shown()
	}
	unchanged := func(why string) {
		t.Helper()
		if got := d.on("host1", "cat /etc/agreed /run/keys/agreed"); got != "beforebefore" {
			t.Errorf("%s, and the host has %s", why, got)
		}
	}
	code, shown := asked(func() {}, "maybe\n", "no\n")
	if code != 1 || !strings.Contains(shown, "host1  changed") || !strings.Contains(shown, "host2  nothing to do") || !strings.Contains(shown, "nothing was done: you did not answer yes") {
		t.Errorf("exit %d:\n%s", code, shown)
	}
	unchanged("the answer was no")
	// What the plan took is seen while it goes on, and kept.
	if !strings.Contains(shown, "comes: sh") {
		t.Errorf("the keyCommand is not told of:\n%s", shown)
	}
	logs, err := filepath.Glob(filepath.Join(d.dir, "state/colmena-go/runs/*-apply-*/node-host1.log"))
	if err != nil || len(logs) != 2 {
		t.Fatalf("%v, %v", logs, err)
	}
	if log := d.local("cat " + logs[1]); !strings.Contains(log, " build begin ") || !strings.Contains(log, " keys begin ") || !strings.Contains(log, " end would ") || strings.Contains(log, " activate begin ") {
		t.Errorf("the log of what people did not want:\n%s", log)
	}

	for what, meanwhile := range map[string]func(){
		"key stays would be mended now": func() { d.on("host1", "chmod 644 /run/keys/stays") },
		"key late would be changed now": func() { d.on("host1", "echo other >/run/keys/late") },
		"the content of key stays":      func() { d.write("stays.key", "w") },
		"the host boots": func() {
			d.on("host1", "mkdir -p /tmp/z/bin; nix-env -p /nix/var/nix/profiles/system --set $(nix-store --add /tmp/z)")
		},
	} {
		if code, shown := asked(meanwhile, "yes\n"); code != 1 || !strings.Contains(shown, what) || !strings.Contains(shown, "nothing was changed: run again to see the new plan") {
			t.Errorf("%s: exit %d:\n%s", what, code, shown)
		}
		unchanged(what)
		d.write("stays.key", "v")
		d.on("host1", "chmod 600 /run/keys/stays; printf v >/run/keys/late; nix-env -p /nix/var/nix/profiles/system --set $(readlink -e /run/current-system)")
	}

	before := d.on("host2", "systemctl show -P NFailedUnits; stat -c %z /run/current-system")
	if code, shown := asked(func() {}, "y\n"); code != 0 || !strings.Contains(shown, "host1 | switch done") || strings.Contains(shown, "host2 | activating") {
		t.Errorf("exit %d:\n%s", code, shown)
	}
	if got := d.on("host1", "cat /etc/agreed /run/keys/agreed"); got != "afterafter" {
		t.Errorf("the host has %s", got)
	}
	if got := d.on("host2", "systemctl show -P NFailedUnits; stat -c %z /run/current-system"); got != before {
		t.Error("the host with nothing to do was activated")
	}
	s := typist.Start(t, d.command("apply", "--ask", "--color", "never"))
	if code := s.Wait(); code != 0 || !strings.Contains(s.Shown(), "nothing to do: 2 nodes are as wanted") || strings.Contains(s.Shown(), "yes or no") {
		t.Errorf("exit %d:\n%s", code, s.Shown())
	}
}

func TestThisMachineIsAskedWhatWouldBeDoneToIt(t *testing.T) {
	d := deploying(t, 1)
	d.ownHive(strings.ReplaceAll(ownSystem, "NUMBER", "dry"))
	d.nixDaemon()
	before := d.on("host1", "ls -A /run/keys /srv; readlink -e /run/current-system || :")
	for _, line := range []string{"apply-local --dry-run --node host1", "apply-local --sudo --dry-run --node host1 --verbose"} {
		user := "root"
		if strings.Contains(line, "--sudo") {
			user = "deployer"
		}
		got := d.on("host1", asUser(user, own+"/colmena-go "+line))
		for _, says := range []string{"host1  changed", "keys      + early", "+ late", "1 of 1 node would change", "exit 3"} {
			if !strings.Contains(got, says) {
				t.Errorf("%s: %s: want %s in\n%s", user, line, says, got)
			}
		}
	}
	if after := d.on("host1", "ls -A /run/keys /srv; readlink -e /run/current-system || :"); after != before {
		t.Errorf("it went from\n%s\nto\n%s", before, after)
	}
}
