package hosts_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// identity makes a key that lets a user of a host in, and nobody else.
func (d *deployer) identity(host, user string) (path string) {
	d.t.Helper()
	path = filepath.Join(d.dir, host+"-"+user)
	if out, err := exec.Command("ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", path).CombinedOutput(); err != nil {
		d.t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	public := strings.TrimSpace(d.read(host + "-" + user + ".pub"))
	d.on(host, fmt.Sprintf(`[ %[1]s = root ] || useradd -m -p "*" %[1]s
eval home=~%[1]s; mkdir -p "$home/.ssh"; cp "$home/.ssh/authorized_keys" /tmp/authorized.old 2>/dev/null || : >/tmp/authorized.old
echo '%[2]s' >"$home/.ssh/authorized_keys"; chown -R %[1]s: "$home/.ssh"; chmod 700 "$home/.ssh"; chmod 600 "$home/.ssh/authorized_keys"`, user, public))
	d.t.Cleanup(func() {
		d.host(host).Shell(fmt.Sprintf(`eval home=~%[1]s; cp /tmp/authorized.old "$home/.ssh/authorized_keys"; [ %[1]s = root ] || userdel -rf %[1]s`, user))
	})
	return path
}

func TestAHostBehindTwoJumpHostsIsDeployedTo(t *testing.T) {
	d := deploying(t, 3)
	known := filepath.Join(d.dir, "known")
	config := d.write("ssh_config", fmt.Sprintf(`
Host *
  IdentitiesOnly yes
  IdentityAgent none
  GlobalKnownHostsFile /dev/null
Host outer
  HostName %s
  User hop
  IdentityFile %s
  UserKnownHostsFile %s.outer
Host inner
  HostName %s
  IdentityFile %s
  UserKnownHostsFile %s.inner
  HostKeyAlias inside
Host target
  HostName %s
  UserKnownHostsFile %s.target
`, d.host("host1").IP, d.identity("host1", "hop"), known, d.host("host2").IP, d.identity("host2", "root"), known, d.host("host3").IP, known))
	d.hive(fmt.Sprintf(`{
  host3 = {
    deployment = {
      targetHost = "target"; keys.jumped.text = "over two";
      sshOptions = [ "-J" "outer,root@inner" "-oPort=22" "-i" %q ];
    };
    environment.etc.jumped.text = "over two";
  };
}`, d.identity("host3", "root")))
	d.must("apply", "--ssh-config", config)
	d.has("host3", "/run/keys/jumped", "over two", "root root 600")
	if got := d.on("host3", "cat /etc/jumped"); got != "over two" {
		t.Errorf("host3 has the system of %q", got)
	}
	for file, want := range map[string]string{"known.outer": d.host("host1").IP + " ", "known.inner": "inside ", "known.target": d.host("host3").IP + " "} {
		if got := d.read(file); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, want) {
			t.Errorf("%s has %q", file, got)
		}
	}
	if from := d.on("host3", "journalctl -q -o cat -u ssh | grep 'Accepted publickey' | tail -n 1"); !strings.Contains(from, " from "+d.host("host2").IP+" ") {
		t.Errorf("it was not reached from the second jump host: %s", from)
	}
}
