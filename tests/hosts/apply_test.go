package hosts_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const fourHosts = `{
  host1 = {
    deployment.tags = [ "web" ];
    users.users.acme = { isSystemUser = true; group = "acme"; };
    users.groups.acme = { };
    users.groups.nginx = { };
    deployment.keys."acme-credentials.secret" = {
      keyCommand = [ "printf" "%s" "from a $(command) with 'quotes'" ];
      user = "acme"; group = "nginx"; permissions = "0640";
    };
  };
  host2 = {
    deployment.keys.file = { keyFile = ./file.key; destDir = "/var/lib/my secrets"; permissions = "400"; };
    systemd.services.consumer = {
      wantedBy = [ "multi-user.target" ];
      requires = [ "file-key.service" ]; after = [ "file-key.service" ];
      serviceConfig = { Type = "oneshot"; RemainAfterExit = true; };
      script = "test -s '/var/lib/my secrets/file'";
    };
  };
  host3.deployment.keys = {
    text.text = "plain\n";
    late = { text = "later"; uploadAt = "post-activation"; user = "1234"; };
  };
  host4 = { networking.hostName = "fourth"; };
}`

func TestOneApplyLandsEverythingAndASecondChangesNothing(t *testing.T) {
	d := deploying(t, 4)
	d.hive(fourHosts)
	d.write("file.key", "binary \x00\xff content")
	o := d.must("apply")
	for host, key := range map[string]string{"host1": "acme-credentials.secret", "host2": "file", "host3": "late"} {
		if got := o.results[host].change(key); got != "changed" {
			t.Errorf("%s: %s is %s, want changed", host, key, got)
		}
	}
	landed := func() {
		t.Helper()
		d.has("host1", "/run/keys/acme-credentials.secret", "from a $(command) with 'quotes'", "acme nginx 640")
		d.has("host2", "/var/lib/my secrets/file", "binary \x00\xff content", "root root 400")
		d.has("host3", "/run/keys/text", "plain\n", "root root 600")
		d.has("host3", "/run/keys/late", "later", "UNKNOWN root 600")
		for host, units := range map[string][]string{
			"host1": {"acme-credentials.secret-key.service"}, "host2": {"file-key.service", "consumer.service"},
			"host3": {"text-key.service", "late-key.service"},
		} {
			for _, unit := range units {
				d.state(host, unit, "active")
			}
		}
		if got := d.on("host4", "cat /etc/hostname; readlink -e /run/current-system /nix/var/nix/profiles/system | uniq | wc -l"); got != "fourth\n1" {
			t.Errorf("host4: %q: its system is not the current one and the profile", got)
		}
		if got := d.on("host1", "stat -c '%U %G %a' /run/keys"); got != "root keys 750" {
			t.Errorf("/run/keys is %s", got)
		}
	}
	landed()
	for host, r := range o.results {
		if r.Bytes == 0 || len(r.Steps) < 5 {
			t.Errorf("%s: %d bytes were copied in the steps %+v", host, r.Bytes, r.Steps)
		}
		for _, s := range r.Steps {
			if s.Status != "succeeded" || s.Seconds < 0 || s.Seconds > 300 || time.Since(s.Begin) > time.Hour {
				t.Errorf("%s: %+v", host, s)
			}
		}
	}

	const history = `for u in $(systemctl list-units --all --plain --no-legend "*-key.service" consumer.service colmena-go-keys.service | cut -d" " -f1); do systemctl show -p Id -p InvocationID -- $u; done; stat -c '%i %Y' /run/keys/* '/var/lib/my secrets/'* 2>/dev/null || :`
	before := map[string]string{}
	for host := range o.results {
		before[host] = d.on(host, history)
	}
	o = d.must("apply")
	for _, step := range []string{"| building", "| copying"} {
		if strings.Contains(o.stderr, step) {
			t.Errorf("what the hosts run is built or copied again: %s", o.stderr)
		}
	}
	for host, r := range o.results {
		for _, key := range r.Keys {
			if key.Change != "unchanged" {
				t.Errorf("again: %s: %s is %s", host, key.Name, key.Change)
			}
		}
		if after := d.on(host, history); after != before[host] {
			t.Errorf("%s: a unit flapped or a file was replaced:\n%s\nwas:\n%s", host, after, before[host])
		}
		d.untouched(host)
	}
	landed()
}

func TestOneDeadHostDelaysNoOther(t *testing.T) {
	d := deploying(t, 4)
	d.hive(`{ host1 = { }; host2 = { }; host3 = { }; host4 = { networking.hostName = "new"; }; }`)
	if err := d.host("host2").StopSSHD(); err != nil {
		t.Fatal(err)
	}
	defer d.host("host2").StartSSHD()
	if err := d.host("host3").CutOff(); err != nil {
		t.Fatal(err)
	}
	defer d.host("host3").Reconnect()
	begin := time.Now()
	// One slot: a host that is being dialled must not hold it.
	o := d.run("apply", "--json", "-p", "1")
	if o.code != 1 {
		t.Errorf("exit %d, want 1", o.code)
	}
	for host, want := range map[string]string{"host1": "succeeded", "host2": "failed", "host3": "failed", "host4": "succeeded"} {
		if got := o.results[host].Status; got != want {
			t.Errorf("%s %s, want %s: %s", host, got, want, o.results[host].Error)
		}
	}
	if got := o.results["host2"].Error; !strings.Contains(got, "cannot reach ") {
		t.Errorf("host2: %s", got)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("a dead host took %v", took)
	}
	if got := d.on("host4", "cat /etc/hostname"); got != "new" {
		t.Errorf("host4 is %s", got)
	}
}

// Nix waits here for a file, in which it then finds the system's name.
func TestHostsAreDialledWhileSystemsAreEvaluated(t *testing.T) {
	connections := func(d *deployer) string { // that are established, to port 22 (proc(5), net/tcp)
		return d.on("host1", `awk '$2 ~ /:0016$/ && $4 == "01"' /proc/net/tcp | wc -l`)
	}
	for _, c := range []struct {
		name, finds string
		code        int
		hostname    string
	}{
		{"and deployed to when that ends well", `"connected"`, 0, "connected"},
		{"and left alone when it fails", `throw "no system"`, 1, "before"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := deploying(t, 1)
			d.hive(`{ host1.networking.hostName = "before"; }`)
			d.must("apply")
			found := filepath.Join(d.dir, "found")
			d.hive(fmt.Sprintf(`{ host1.networking.hostName = import (derivation {
  name = "slow-%d"; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/usr/bin:/bin";
  args = [ "-c" "until [ -e %s ]; do sleep 0.1; done; cat %[2]s >$out" ];
}); }`, time.Now().UnixNano(), found))
			cmd := d.command("apply")
			var said bytes.Buffer
			cmd.Stderr = &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(30 * time.Second); connections(d) != "1" && time.Now().Before(end); {
				time.Sleep(50 * time.Millisecond)
			}
			if got := connections(d); got != "1" {
				t.Errorf("%s connections to the host while Nix evaluates, want 1", got)
			}
			if err := os.Rename(d.write("written", c.finds), found); err != nil {
				t.Fatal(err)
			}
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit %d, want %d: %s", code, c.code, &said)
			}
			if got := d.on("host1", "cat /etc/hostname"); got != c.hostname {
				t.Errorf("the host is %s, want %s", got, c.hostname)
			}
			if got := connections(d); got != "0" {
				t.Errorf("%s connections are left", got)
			}
		})
	}
}

// switch-to-configuration waits for start jobs, and this one waits for a key
// that is due only after it.
func TestAServiceThatRequiresAPostActivationKeyDoesNotBlockTheSwitch(t *testing.T) {
	d := deploying(t, 1)
	const hive = `{ host1 = {
    deployment.keys."late key" = { text = "%s"; uploadAt = "post-activation"; };
    systemd.services.needs = {
      wantedBy = [ "multi-user.target" ];
      requires = [ "late\\x20key-key.service" ]; after = [ "late\\x20key-key.service" ];
      serviceConfig = { Type = "oneshot"; RemainAfterExit = true; };
      script = "test \"$(cat '/run/keys/late key')\" = %[1]s";
    };
  }; }`
	d.hive(fmt.Sprintf(hive, "first"))
	d.must("apply")
	d.state("host1", "needs.service", "active")
	d.has("host1", "/run/keys/late key", "first", "root root 600")
}

func TestGoalsThatUploadNoKeysChangeNone(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1 = { networking.hostName = "other"; deployment.keys.k.text = "v"; deployment.keys.p = { text = "v"; uploadAt = "post-activation"; }; }; }`)
	before := d.on("host1", "readlink -e /run/current-system || :")
	for _, args := range [][]string{{"build"}, {"apply", "build"}, {"apply", "push"}, {"apply", "dry-activate"}, {"apply", "--no-keys", "dry-activate"}} {
		d.must(args...)
		if got := d.on("host1", "ls -A /run/keys; cat /etc/hostname"); strings.Contains(got, "k\n") || strings.Contains(got, "other") {
			t.Errorf("%v: %s", args, got)
		}
	}
	if after := d.on("host1", "readlink -e /run/current-system || :"); after != before {
		t.Errorf("the current system went from %s to %s", before, after)
	}
	d.must("apply", "--no-keys")
	if got := d.on("host1", "ls -A /run/keys; cat /etc/hostname"); got != "other" {
		t.Errorf("apply --no-keys: %s", got)
	}
}

func TestBootTakesEffectWithTheNextBoot(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1 = {
    networking.hostName = "after-boot";
    users.users.booted = { isSystemUser = true; group = "booted"; };
    users.groups.booted = { };
    deployment.keys.volatile.text = "v";
    deployment.keys.kept = { text = "k"; destDir = "/var/lib/kept"; user = "booted"; group = "booted"; };
  }; }`)
	o := d.must("apply", "boot")
	if got := o.results["host1"].change("volatile"); got != "skipped" {
		t.Errorf("the key in memory is %s, want skipped", got)
	}
	d.has("host1", "/var/lib/kept/kept", "k", "root root 600")
	if !strings.Contains(o.stderr, `| key "volatile": /run/keys does not survive the reboot; run upload-keys after it`) {
		t.Errorf("nothing says why a key was skipped: %s", o.stderr)
	}
	if got := d.on("host1", "cat /etc/hostname; ls -A /run/keys"); strings.Contains(got, "after-boot") || strings.Contains(got, "volatile") {
		t.Error("boot has activated: ", got)
	}
	if err := d.host("host1").Reboot(); err != nil {
		t.Fatal(err)
	}
	if got := d.on("host1", "cat /etc/hostname"); got != "after-boot" {
		t.Errorf("after the reboot the host is %s", got)
	}
	d.has("host1", "/var/lib/kept/kept", "k", "booted booted 600")
	d.state("host1", "kept-key.service", "active")
	d.must("upload-keys", "--on", "host1")
	d.has("host1", "/run/keys/volatile", "v", "root root 600")
}

func TestOwnersThatActivationMakesGetTheirKeys(t *testing.T) {
	for name, more := range map[string]string{"activation script": "", "userborn": "services.userborn.enable = true;"} {
		t.Run(name, func(t *testing.T) {
			d := deploying(t, 1)
			user := "u" + strings.Fields(name)[0]
			d.hive(fmt.Sprintf(`{ host1 = { %s
        users.users.%s = { isSystemUser = true; group = "%[2]s"; };
        users.groups.%[2]s = { };
        deployment.keys.k = { text = "v"; user = "%[2]s"; group = "%[2]s"; permissions = "4750"; };
        deployment.keys.theirs = { text = "w"; user = "%[2]s"; destDir = "/home/alice/keys"; };
      }; }`, more, user))
			d.on("host1", "install -d -o alice -m 0755 /home/alice/keys")
			o := d.must("apply")
			for _, key := range []string{"k", "theirs"} {
				if got := o.results["host1"].change(key); got != "changed" {
					t.Errorf("%s is new, but %s", key, got)
				}
			}
			d.has("host1", "/run/keys/k", "v", user+" "+user+" 4750")
			d.has("host1", "/home/alice/keys/theirs", "w", user+" root 600")
			d.on("host1", "rm -rf /home/alice/keys")
		})
	}
}

// Two spellings of one path, which only the host can know.
func TestOneFileIsNotWrittenByTwoPhases(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1.deployment.keys = {
    a = { text = "first"; name = "x"; };
    b = { text = "second"; name = "x"; destDir = "/var/run/keys"; uploadAt = "post-activation"; };
  }; }`)
	for _, args := range [][]string{{"apply", "--json"}, {"upload-keys", "--json"}} {
		o := d.run(args...)
		if got := o.results["host1"].Error; o.code != 1 || !strings.Contains(got, `"b"`) || !strings.Contains(got, `"a"`) || !strings.Contains(got, "same file") {
			t.Errorf("%v: exit %d: %s", args, o.code, got)
		}
		d.has("host1", "/run/keys/x", "first", "root root 600")
	}
}

func TestNodesWithoutAHostAreSkippedButBuilt(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1 = { }; nowhere.deployment.targetHost = null; }`)
	o := d.must("apply")
	if o.results["nowhere"].Status != "skipped" || o.results["host1"].Status != "succeeded" {
		t.Errorf("%+v", o.results)
	}
	if o = d.must("build"); o.results["nowhere"].Status != "succeeded" {
		t.Errorf("%+v", o.results)
	}
}

func TestAllowApplyAllIsObeyed(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ meta.allowApplyAll = false; host1 = { deployment.keys.k.text = "v"; }; broken = throw "evaluated for nothing"; }`)
	for _, args := range [][]string{{"apply"}, {"upload-keys"}, {"apply", "push"}} {
		if o := d.run(args...); o.code == 0 || !strings.Contains(o.stderr, "allowApplyAll") {
			t.Errorf("%v: exit %d: %s", args, o.code, o.stderr)
		}
	}
	d.must("build", "--on", "host1")
	d.must("upload-keys", "--on", "host1")
}

// The user's shell may be anything, and sudo does the rest.
func TestOrdinaryUsersDeployWithSudo(t *testing.T) {
	for _, user := range []string{"deployer", "fishy"} {
		t.Run(user, func(t *testing.T) {
			d := deploying(t, 1)
			d.hive(fmt.Sprintf(`{ host1 = { networking.hostName = "by-%s"; deployment.targetUser = "%[1]s"; deployment.keys.k.text = "for %[1]s"; }; }`, user))
			d.must("apply")
			d.has("host1", "/run/keys/k", "for "+user, "root root 600")
			if got := d.on("host1", "cat /etc/hostname"); got != "by-"+user {
				t.Error(got)
			}
		})
	}
	d := deploying(t, 1)
	d.hive(`{ host1 = { deployment.targetUser = "alice"; deployment.keys.k.text = "v"; }; }`)
	if o := d.run("upload-keys"); o.code != 1 || !strings.Contains(o.stderr, "sudo") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
}

// What sudo logs of us would hold every secret.
func TestSudoThatRecordsItsInputIsWarnedOf(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1 = { deployment.targetUser = "deployer"; deployment.keys.k.text = "v"; }; }`)
	const policy = "/etc/sudoers.d/zz-recorded"
	defer d.on("host1", "rm -f "+policy)
	for text, want := range map[string]bool{
		"Defaults:deployer log_input":                   true,
		"deployer ALL=(ALL) NOPASSWD: LOG_INPUT: ALL":   true,
		"Defaults:deployer !log_input":                  false,
		"deployer ALL=(ALL) NOPASSWD: NOLOG_INPUT: ALL": false,
		"Defaults log_output":                           false,
	} {
		d.on("host1", "echo '"+text+"' >"+policy+"; chmod 440 "+policy+"; visudo -cq")
		o := d.must("upload-keys")
		if got := strings.Contains(o.stderr, "host1 | warning: sudo on the host records all that it is sent"); got != want {
			t.Errorf("%s: %s", text, o.stderr)
		}
	}
}

// The keys that come after the switch are a step of their own, which hides nothing.
func TestASwitchThatFailsShowsWhatItPrinted(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1 = {
  systemd.services.bad = { wantedBy = [ "multi-user.target" ]; serviceConfig.Type = "oneshot"; script = "echo I cannot find my config >&2; exit 1"; };
  deployment.keys.late = { text = "v"; uploadAt = "post-activation"; };
}; }`)
	o := d.run("apply", "--json")
	r := o.results["host1"]
	if o.code != 1 || r.Step != "activate" || !strings.Contains(r.Error, "bad.service") || !strings.Contains(strings.Join(r.Output, "\n"), "bad.service") {
		t.Errorf("exit %d: %+v", o.code, r)
	}
	if !strings.Contains(o.stderr, "the last output of activate on host1") {
		t.Errorf("not shown at the end: %s", o.stderr)
	}
	d.has("host1", "/run/keys/late", "v", "root root 600")
	// A log in JSON has it without --verbose.
	if o = d.run("apply", "--log-format", "json"); !regexp.MustCompile(`"event":"end".*`).MatchString(o.stderr) || strings.Contains(o.stderr, `"event":"output"`) {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
}

func TestUnknownProfilesAreReplacedOnlyWhenAllowed(t *testing.T) {
	d := deploying(t, 1)
	const profile = "/nix/var/nix/profiles/system"
	foreign := d.on("host1", "mkdir -p /tmp/foreign/bin && nix-store --add /tmp/foreign && rm -r /tmp/foreign")
	for what, deploys := range map[string]string{
		"runs":  "ln -sfn " + foreign + " /run/current-system",
		"boots": "nix-env -p " + profile + " --set " + foreign, // as somebody's `apply boot` does
	} {
		d.hive(`{ host1 = { networking.hostName = "known"; }; }`)
		d.must("apply")
		d.on("host1", deploys)
		before := d.on("host1", "readlink -f /run/current-system "+profile)
		d.hive(`{ host1 = { networking.hostName = "next"; deployment.replaceUnknownProfiles = false; }; }`)
		d.must("apply", "push") // which replaces nothing
		o := d.run("apply", "--json")
		for _, says := range []string{"the host " + what + " " + foreign, "--force-replace-unknown-profiles"} {
			if r := o.results["host1"]; o.code != 1 || r.Step != "inspect" || !strings.Contains(r.Error, says) {
				t.Errorf("exit %d in step %q: %q does not say %q", o.code, r.Step, r.Error, says)
			}
		}
		if after := d.on("host1", "readlink -f /run/current-system "+profile); after != before {
			t.Errorf("what the host %s was replaced: %s, before %s", what, after, before)
		}
		d.must("apply", "--force-replace-unknown-profiles")
		d.must("apply")
	}
}
