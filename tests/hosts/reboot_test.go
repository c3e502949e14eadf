package hosts_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// reboots has hosts come back from reboots until the end of the test.
func (d *deployer) reboots(hosts ...string) {
	for _, name := range hosts {
		d.t.Cleanup(d.host(name).ReturnsFromReboots())
	}
}

func (d *deployer) bootID(host string) string {
	d.t.Helper()
	return d.on(host, "cat /proc/sys/kernel/random/boot_id")
}

// withKernel is a system with a kernel of its own, for those who look at that.
const withKernel = `{ system.extraSystemBuilderCmds = "ln -s %[1]s $out/kernel; printf %[2]s > $out/kernel-params"; }`

func TestAHostThatIsRebootedHasItsSystemAndItsKeys(t *testing.T) {
	d := deploying(t, 1)
	// A service of the boot waits for each key.
	const text = `{ host1 = { imports = [ ` + withKernel + ` ];
    environment.etc.generation.text = "%[3]s";
    deployment.keys.early = { keyCommand = [ "sh" "-c" "echo run >>%[4]s; printf v" ]; };
    deployment.keys.late = { text = "v"; uploadAt = "post-activation"; };
    deployment.keys.kept = { text = "v"; destDir = "/var/keys"; };
    systemd.services = builtins.listToAttrs (map (key: { name = "needs-${key}"; value = {
      wantedBy = [ "multi-user.target" ]; requires = [ "${key}-key.service" ]; after = [ "${key}-key.service" ];
      script = "exec sleep infinity";
    }; }) [ "early" "late" ]);
  }; }`
	ran := d.dir + "/ran"
	d.hive(fmt.Sprintf(text, "/bin/sh", "p1", "one", ran))
	d.must("apply")
	d.reboots("host1")
	t.Cleanup(func() {
		d.hive("{ host1 = { }; }")
		d.must("apply")
	})
	there := func(generation string) {
		t.Helper()
		d.has("host1", "/run/keys/early", "v", "root root 600")
		d.has("host1", "/run/keys/late", "v", "root root 600")
		d.has("host1", "/var/keys/kept", "v", "root root 600")
		if got := d.on("host1", "cat /etc/generation"); got != generation {
			t.Errorf("the host runs generation %s, want %s", got, generation)
		}
		d.state("host1", "needs-early.service", "active")
		d.state("host1", "needs-late.service", "active")
	}
	there("one")

	before := d.bootID("host1")
	d.hive(fmt.Sprintf(text, "/bin/sh", "p1", "two", ran))
	said := d.foresees(3, "plan", "--reboot")["host1"]
	if !said.Reboots || d.bootID("host1") != before {
		t.Errorf("a plan of it says %+v", said)
	}
	begin := time.Now()
	o := d.must("apply", "--reboot") // boot, as in Colmena
	t.Logf("apply --reboot: %v", time.Since(begin))
	if d.bootID("host1") == before {
		t.Error("the host was not rebooted")
	}
	there("two")
	if got := d.on("host1", "readlink -e /run/booted-system"); got != o.toplevel(t, "host1") {
		t.Errorf("it booted %s", got)
	}
	if r := o.results["host1"]; !r.Rebooted || r.change("early") != "changed" || r.change("kept") == "skipped" {
		t.Errorf("%+v", r)
	}
	for _, k := range said.Keys {
		if got := o.results["host1"].change(k.Name); got != k.Change {
			t.Errorf("%s was to be %s and is %s", k.Name, k.Change, got)
		}
	}
	if strings.Contains(o.stderr, "run upload-keys") {
		t.Errorf("what the reboot brings is left to the user:\n%s", o.stderr)
	}

	// Only what cannot take effect otherwise needs a reboot.
	before = d.bootID("host1")
	d.hive(fmt.Sprintf(text, "/bin/sh", "p1", "three", ran))
	for _, args := range [][]string{{"apply", "--reboot-if-needed"}, {"reboot", "--if-needed"}} {
		o = d.must(args...)
		if o.results["host1"].Rebooted || d.bootID("host1") != before || !strings.Contains(o.stderr, "no reboot is needed") {
			t.Errorf("%v: it was rebooted in vain:\n%s", args, o.stderr)
		}
	}
	there("three")
	for i, change := range [][3]string{{"/bin/sh", "p2", "kernel-params"}, {"/bin/ls", "p2", "kernel"}} {
		generation := fmt.Sprintf("changed-%d", i)
		d.hive(fmt.Sprintf(text, change[0], change[1], generation, ran))
		o = d.must("apply", "--reboot-if-needed")
		if now := d.bootID("host1"); now == before || !strings.Contains(o.stderr, "the booted system has a different "+change[2]+"\n") {
			t.Errorf("%v:\n%s", change, o.stderr)
		}
		there(generation)
		before = d.bootID("host1")
	}

	// reboot alone resolves once to see that it can, and once more to send.
	os.Remove(ran)
	o = d.must("reboot")
	if d.bootID("host1") == before || !o.results["host1"].Rebooted {
		t.Errorf("not rebooted:\n%s", o.stderr)
	}
	there("changed-1")
	if runs := strings.Count(d.read("ran"), "run"); runs != 2 {
		t.Errorf("the keyCommand ran %d times", runs)
	}

	before = d.bootID("host1")
	d.must("reboot", "--no-keys")
	if d.bootID("host1") == before || d.on("host1", "ls /run/keys") != "" {
		t.Error("--no-keys does not leave the keys out")
	}
	d.must("upload-keys")

	// Nothing is rebooted whose keys cannot be had again.
	d.hive(strings.Replace(fmt.Sprintf(text, "/bin/ls", "p2", "changed-1", ran), "echo run", "exit 1", 1))
	before = d.bootID("host1")
	if o := d.run("reboot", "--json"); o.code != 1 || o.results["host1"].Step != "keys" || d.bootID("host1") != before {
		t.Errorf("exit %d: %+v", o.code, o.results)
	}
}

func TestAHostThatBootsAnotherSystemIsTold(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1.environment.etc.generation.text = "one"; }`)
	d.must("apply")
	old := d.on("host1", "readlink -e /run/current-system")
	d.reboots("host1")
	// Its boot loader keeps the old entry.
	d.on("host1", "chattr +i /boot/nixos-entry 2>/dev/null || mount --bind /boot /boot")
	d.hive(`{ host1 = { environment.etc.generation.text = "two"; deployment.keys.a.text = "v";
	  system.build.installBootLoader = (import <nixpkgs> { }).lib.mkForce "/bin/true"; }; }`)
	o := d.run("apply", "--reboot", "--json")
	d.on("host1", "chattr -i /boot/nixos-entry 2>/dev/null || :")
	if r := o.results["host1"]; o.code != 1 || r.Step != "await" || !strings.Contains(r.Error, "the host booted "+old) || !strings.Contains(r.Error, "boot loader") {
		t.Errorf("exit %d: %+v\n%s", o.code, r, o.stderr)
	}
}

// Of four hosts, one never returns.
func TestOnlySoManyHostsAreDownAtOnce(t *testing.T) {
	const hosts = 4
	d := deploying(t, hosts)
	const key = `deployment.keys.k.text = "v";`
	d.hive(`{ host1 = { ` + key + ` }; host2 = { ` + key + ` deployment.targetUser = "deployer"; }; host3 = { ` + key + ` }; host4 = { ` + key + ` }; }`)
	d.must("apply")
	d.reboots("host1", "host2", "host3")
	t.Cleanup(func() {
		if err := d.host("host4").Start(); err != nil {
			t.Error(err)
		}
	})
	ids := map[string]string{}
	for i := range hosts {
		name := fmt.Sprintf("host%d", i+1)
		ids[name] = d.bootID(name)
	}
	most, over := 0, make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			down := 0
			for i := range hosts {
				if !d.fleet.Hosts[i].Runs() {
					down++
				}
			}
			most = max(most, down)
			select {
			case <-over:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	begin := time.Now()
	o := d.run("reboot", "-p", "2", "--reboot-timeout", "40s", "--json")
	close(over)
	watching.Wait()
	t.Logf("4 hosts, 2 at once, one of which never returns within 40 s: %v", time.Since(begin))
	if most > 2 || most == 0 {
		t.Errorf("%d hosts were down at once", most)
	}
	for i := range hosts - 1 {
		name := fmt.Sprintf("host%d", i+1)
		if r := o.results[name]; r.Status != "succeeded" || !r.Rebooted || d.bootID(name) == ids[name] {
			t.Errorf("%s: %+v", name, r)
		}
		d.has(name, "/run/keys/k", "v", "root root 600")
	}
	r := o.results["host4"]
	if o.code != 1 || r.Status != "failed" || r.Step != "await" || r.Rebooted {
		t.Errorf("exit %d: %+v", o.code, r)
	}
	for _, says := range []string{"not back 40s after", "last seen: ", "host4", "run upload-keys"} {
		if !strings.Contains(r.Error, says) {
			t.Errorf("%q does not say %q", r.Error, says)
		}
	}
}

func TestWhoLeavesDuringAReboootIsToldWhichHostsAreDown(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1.deployment.keys.k.text = "v"; }`)
	d.must("apply")
	t.Cleanup(func() {
		if err := d.host("host1").Start(); err != nil {
			t.Error(err)
		}
	})
	cmd := d.command("reboot")
	said := &listener{word: "waiting for the host to be back", heard: make(chan struct{})}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-said.heard
	cmd.Process.Signal(os.Interrupt)
	for end := time.Now().Add(30 * time.Second); d.host("host1").Runs() && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(time.Second) // two signals at once are one
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	text := said.said.String()
	for _, says := range []string{"waiting for host1 (rebooting)", "still rebooting: host1", "run upload-keys once they are back", "host1  left (rebooting)"} {
		if !strings.Contains(text, says) {
			t.Errorf("%q is not in\n%s", says, text)
		}
	}
	for _, says := range []string{"again:", "running activations"} {
		if strings.Contains(text, says) {
			t.Errorf("%q is in\n%s", says, text)
		}
	}
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit %d", code)
	}
}

// What answers in the place of a host that was rebooted is not given its keys, whether or
// not the key of the host was recorded.
func TestAHostWithAnotherKeyAfterARebootIsRefused(t *testing.T) {
	for name, options := range map[string]string{"recorded": "", "recorded nowhere": `deployment.sshOptions = [ "-oUserKnownHostsFile=/dev/null" "-oGlobalKnownHostsFile=/dev/null" ];`} {
		t.Run(name, func(t *testing.T) {
			d := deploying(t, 1)
			d.hive(`{ host1 = { deployment.keys.k.text = "v"; ` + options + ` }; }`)
			d.must("apply")
			d.on("host1", `cd /etc/ssh && cp -p ssh_host_ed25519_key /root/old && cp -p ssh_host_ed25519_key.pub /root/old.pub
rm -f /root/new; ssh-keygen -q -t ed25519 -N '' -f /root/new`)
			d.before("host1", "cp /root/new /etc/ssh/ssh_host_ed25519_key; cp /root/new.pub /etc/ssh/ssh_host_ed25519_key.pub")
			begin := time.Now()
			o := d.run("reboot", "--json")
			d.on("host1", `cp -p /root/old /etc/ssh/ssh_host_ed25519_key; cp -p /root/old.pub /etc/ssh/ssh_host_ed25519_key.pub; rm -r /etc/systemd/system/ssh.service.d; systemctl daemon-reload; systemctl restart ssh; ls /run/keys >/root/keys`)
			if r := o.results["host1"]; o.code != 1 || r.Step != "await" || !strings.Contains(r.Error, "host key refused") || time.Since(begin) > time.Minute {
				t.Errorf("exit %d: %+v", o.code, r)
			}
			if got := d.on("host1", "cat /root/keys"); got != "" {
				t.Errorf("it got %s", got)
			}
			if options == "" && strings.Contains(o.stderr, "accepted") || strings.Count(o.stderr, "accepted") > 1 {
				t.Error(o.stderr)
			}
		})
	}
}

// before has a host do something at its next boot, before it can be reached.
func (d *deployer) before(host, script string) {
	d.t.Helper()
	d.on(host, "mkdir -p /etc/systemd/system/ssh.service.d; printf '#!/bin/sh\n%s\n' '"+script+`' >/root/before; chmod 700 /root/before
printf '[Service]\nExecStartPre=/root/before\n' >/etc/systemd/system/ssh.service.d/before.conf`)
	d.reboots(host)
}

// Whoever looks for a host again and again would lock the account.
func TestASudoPasswordThatIsRefusedAfterARebootIsToldOnce(t *testing.T) {
	d := deploying(t, 1)
	d.asksOn("host1", "open sesame")
	d.hive("{" + nodes(three[:1], "deployer", `deployment.keys.k.text = "v";`) + "}")
	if code, said := d.with("open sesame", "apply"); code != 0 {
		t.Fatalf("exit %d: %s", code, said)
	}
	d.before("host1", "echo deployer:another | chpasswd")
	boot, begin := d.bootID("host1"), time.Now()
	code, said := d.with("open sesame", "reboot")
	defer d.on("host1", "rm -r /etc/systemd/system/ssh.service.d; systemctl daemon-reload")
	if code != 1 || !strings.Contains(said, "the password was refused") || !strings.Contains(said, "run upload-keys") || strings.Contains(said, "sesame") || time.Since(begin) > time.Minute {
		t.Errorf("exit %d after %v: %s", code, time.Since(begin), said)
	}
	if d.bootID("host1") == boot {
		t.Error("the host was not rebooted")
	}
	if got := d.refusals("host1"); got != "1" {
		t.Errorf("it was told %s wrong passwords", got)
	}
	if code, said := d.with("another", "upload-keys"); code != 0 {
		t.Errorf("exit %d: %s", code, said)
	}
	d.has("host1", "/run/keys/k", "v", "root root 600")
}
