package hosts_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Only the ssh program can follow this option, which does no harm to other keys.
const onlySSH = `"-o" "SecurityKeyProvider=/nowhere.so"`

func TestHostsAreDeployedToByWhateverWayLeadsThere(t *testing.T) {
	d := deploying(t, 3)
	d.hive(fmt.Sprintf(`{
  host1 = { deployment = { keys.way.text = "ssh"; sshOptions = [ %s ]; }; environment.etc.way.text = "ssh"; };
  host2 = { deployment = { keys.way.text = "sudo"; targetUser = "deployer"; sshOptions = [ %[1]s "-J" "host1" ]; }; environment.etc.way.text = "sudo"; };
  host3 = { deployment = { keys.way.text = "command"; sshOptions = [ "-oProxyCommand=ssh -F %[2]s -W %%h:%%p host1" ]; }; environment.etc.way.text = "command"; };
}`, onlySSH, d.fleet.SSHConfig))
	d.must("apply")
	for host, way := range map[string]string{"host1": "ssh", "host2": "sudo", "host3": "command"} {
		d.has(host, "/run/keys/way", way, "root root 600")
		if got := d.on(host, "cat /etc/way"); got != way {
			t.Errorf("%s has the system of %q", host, got)
		}
	}
	if out, err := exec.Command("pgrep", "-af", "nowhere.so|-W .*:22").Output(); err == nil {
		t.Errorf("left running:\n%s", out)
	}
}

func TestHostsOfAnAuthorityAreKnownByTheirCertificates(t *testing.T) {
	d := deploying(t, 2)
	authority := filepath.Join(d.dir, "authority")
	keygen := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ssh-keygen", args...).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	keygen("-q", "-N", "", "-t", "ed25519", "-f", authority)
	for host, principal := range map[string]string{"host1": d.host("host1").IP, "host2": "another"} {
		d.write(host+".pub", d.on(host, "cat /etc/ssh/ssh_host_ed25519_key.pub"))
		keygen("-q", "-s", authority, "-I", host, "-h", "-n", principal, filepath.Join(d.dir, host+".pub"))
		d.on(host, fmt.Sprintf("echo '%s' >/etc/ssh/fleet-cert.pub; echo 'HostCertificate /etc/ssh/fleet-cert.pub' >/etc/ssh/sshd_config.d/cert.conf; systemctl reload ssh", strings.TrimSpace(d.read(host+"-cert.pub"))))
		t.Cleanup(func() { d.host(host).Shell("rm /etc/ssh/sshd_config.d/cert.conf; systemctl reload ssh") })
	}
	known := d.write("known_hosts", "@cert-authority * "+d.read("authority.pub"))
	d.hive(fmt.Sprintf(`{
  host1.deployment = { keys.k.text = "known"; sshOptions = [ "-o" "UserKnownHostsFile=%s" "-oStrictHostKeyChecking=yes" ]; };
  host2.deployment = { keys.k.text = "not known"; sshOptions = [ "-o" "UserKnownHostsFile=%[1]s" "-oStrictHostKeyChecking=yes" ]; };
}`, known))
	out := d.run("upload-keys", "--json")
	d.has("host1", "/run/keys/k", "known", "root root 600")
	if got := out.results["host2"]; got.Status != "failed" || !strings.Contains(got.Error, "known_hosts:1, but does not hold") {
		t.Errorf("host2: %s: %s\n%s", got.Status, got.Error, out.stderr)
	}
	d.untouched("host2")
}

// One host is known by a name that is hashed, one has changed its key, and one lets in whom
// an authority vouches for.
func TestHostsAreKnownAndKnowUsAsSSHHasIt(t *testing.T) {
	d := deploying(t, 3)
	keygen := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ssh-keygen", args...).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	for _, name := range []string{"stranger", "authority", "me"} {
		keygen("-q", "-N", "", "-t", "ed25519", "-f", filepath.Join(d.dir, name))
	}
	keygen("-q", "-s", filepath.Join(d.dir, "authority"), "-I", "me", "-n", "root", filepath.Join(d.dir, "me.pub"))
	d.on("host3", fmt.Sprintf("echo '%s' >/etc/ssh/users.pub; echo 'TrustedUserCAKeys /etc/ssh/users.pub' >/etc/ssh/sshd_config.d/users.conf; systemctl reload ssh", strings.TrimSpace(d.read("authority.pub"))))
	defer d.on("host3", "rm /etc/ssh/sshd_config.d/users.conf; systemctl reload ssh")
	var known strings.Builder
	for _, host := range three {
		key := d.on(host, "cat /etc/ssh/ssh_host_ed25519_key.pub")
		if host == "host2" {
			key = strings.TrimSpace(d.read("stranger.pub"))
		}
		fmt.Fprintf(&known, "%s %s\n", d.host(host).IP, key)
	}
	file := d.write("known_hosts", known.String())
	keygen("-q", "-H", "-f", file)
	const key = `keys.k.text = "v"; sshOptions = [ "-oUserKnownHostsFile=%[1]s" "-oStrictHostKeyChecking=yes" `
	d.hive(fmt.Sprintf(`{ host1.deployment = { `+key+`]; }; host2.deployment = { `+key+`]; };
  host3.deployment = { `+key+`"-oIdentitiesOnly=yes" "-oIdentityAgent=none" "-oIdentityFile=%[2]s" ]; }; }`, file, filepath.Join(d.dir, "me")))
	// The fleet's own ssh_config has a key that opens every door.
	config := d.write("ssh_config", fmt.Sprintf("Host host1 host2\nIdentityFile %s\nHost host1\nHostName %s\nHost host2\nHostName %s\nHost host3\nHostName %s\nHost *\nUser root\nGlobalKnownHostsFile /dev/null\n",
		filepath.Join(d.fleet.Dir, "id_ed25519"), d.host("host1").IP, d.host("host2").IP, d.host("host3").IP))
	o := d.run("upload-keys", "--json", "--ssh-config", config)
	d.has("host1", "/run/keys/k", "v", "root root 600")
	d.has("host3", "/run/keys/k", "v", "root root 600")
	if got := d.on("host3", "journalctl -q -o cat -u ssh | grep Accepted | tail -n 1"); !strings.Contains(got, "CERT") {
		t.Errorf("it was let in with something else: %s", got)
	}
	if r := o.results["host2"]; o.code != 1 || !strings.Contains(r.Error, "is not the one in "+file+":2 (there SHA256:") || !strings.Contains(r.Error, ", now SHA256:") {
		t.Errorf("exit %d: host2: %+v\n%s", o.code, r, o.stderr)
	}
	d.untouched("host2")
}
