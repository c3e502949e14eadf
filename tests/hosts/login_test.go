package hosts_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/typist"
)

// One host after the other asks in another way, and nothing else is written meanwhile.
func TestPeopleLogInOnTheTerminal(t *testing.T) {
	d := deploying(t, 3)
	locked := filepath.Join(d.dir, "locked")
	if out, err := exec.Command("sh", "-ec", `cp "$1" "$2"; chmod 600 "$2"; ssh-keygen -q -p -a 1 -P '' -N 'open sesame' -f "$2"; ssh-keygen -y -P 'open sesame' -f "$2" >"$2.pub"`,
		"sh", filepath.Join(d.fleet.Dir, "id_ed25519"), locked).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	config, err := os.ReadFile(d.fleet.SSHConfig)
	if err != nil {
		t.Fatal(err)
	}
	file := d.write("ssh_config", strings.ReplaceAll(string(config), filepath.Join(d.fleet.Dir, "id_ed25519"), locked))
	d.on("host3", `echo deployer:by-hand | chpasswd
printf 'PasswordAuthentication yes\nPubkeyAuthentication no\nKbdInteractiveAuthentication no\n' >/etc/ssh/sshd_config.d/a.conf; systemctl reload ssh`)
	defer d.on("host3", `rm /etc/ssh/sshd_config.d/a.conf; usermod -p '*' deployer; systemctl reload ssh`)
	d.hive("{" + nodes(three[:2], "root", `deployment.keys.k.text = "v";`) + nodes(three[2:], "deployer", `deployment.keys.k.text = "v";`) + "}")

	s := typist.Start(t, d.command("upload-keys", "--color", "never", "--ssh-config", file))
	s.Await(" | passphrase of " + locked + ": ")
	s.Type("mistyped\n")
	s.Await(" | it was wrong; passphrase of " + locked + ": ")
	s.Type("open sesame\n")
	s.Await(fmt.Sprintf("host3 | password of deployer@%s:22: ", d.host("host3").IP))
	s.Type("by-hand\n")
	if code := s.Wait(); code != 0 || strings.Count(s.Shown(), "passphrase of") != 2 || strings.Contains(s.Shown(), "sesame") || strings.Contains(s.Shown(), "by-hand") {
		t.Errorf("exit %d", code)
	}
	for _, host := range three {
		d.has(host, "/run/keys/k", "v", "root root 600")
	}

	// ^C ends it, and whoever is asked no more has the terminal as it was.
	s = typist.Start(t, d.command("upload-keys", "--color", "never", "--ssh-config", file))
	s.Await(" | passphrase of " + locked + ": ")
	s.Type("half\x03")
	s.Await("interrupted")
	if code := s.Wait(); code != 130 {
		t.Errorf("exit %d after ^C", code)
	}

	// From no terminal all is told, and nobody waits.
	o := d.run("upload-keys", "--ssh-config", file)
	for _, says := range []string{"is encrypted, and its passphrase is not asked for (nobody can be asked: there is no terminal, and SSH_ASKPASS names no program)", "only a password, which nobody can give here (nobody can be asked"} {
		if o.code != 1 || !strings.Contains(o.stderr, says) {
			t.Errorf("exit %d, want %q: %s", o.code, says, o.stderr)
		}
	}
}

// Where only the ssh program can connect, it asks as we do, and its sessions get what ssh
// gives to commands.
func TestTheSSHProgramAsksOnTheTerminal(t *testing.T) {
	d := deploying(t, 1)
	d.on("host1", `echo deployer:by-hand | chpasswd
printf 'PasswordAuthentication yes\nPubkeyAuthentication no\nKbdInteractiveAuthentication no\nAcceptEnv GREETING\n' >/etc/ssh/sshd_config.d/a.conf; systemctl reload ssh`)
	defer d.on("host1", `rm /etc/ssh/sshd_config.d/a.conf; usermod -p '*' deployer; systemctl reload ssh`)
	d.hive("{" + nodes(three[:1], "deployer", `deployment.keys.k.text = "v"; deployment.sshOptions = [ `+onlySSH+` "-oSetEnv=GREETING=hello" ];`) + "}")
	s := typist.Start(t, d.command("upload-keys", "--color", "never"))
	password := fmt.Sprintf("password of deployer@%s: ", d.host("host1").IP)
	s.Await("host1 | " + password)
	s.Type("mistyped\n")
	s.Await("host1 | it was refused; " + password)
	s.Type("by-hand\n")
	if code := s.Wait(); code != 0 || strings.Contains(s.Shown(), "by-hand") {
		t.Errorf("exit %d", code)
	}
	d.has("host1", "/run/keys/k", "v", "root root 600")
	s = typist.Start(t, d.command("exec", "--no-escalation", "--color", "never", "--", "echo", "$GREETING", "there"))
	s.Await(password)
	s.Type("by-hand\n")
	if code := s.Wait(); code != 0 || !strings.Contains(s.Shown(), "host1 | hello there") {
		t.Errorf("exec: exit %d", code)
	}
}
