package hosts_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/typist"
)

// asksOn has sudo on a host ask the users for a password, until the test is over;
// more lines go into sudoers.
func (d *deployer) asksOn(host, password string, lines ...string) {
	d.t.Helper()
	const policy, old = "/etc/sudoers.d/deployer", "/root/deployer.sudoers"
	d.t.Cleanup(func() {
		d.on(host, "mv "+old+" "+policy+"; usermod -p '*' deployer; usermod -p '*' fishy; gpasswd -M '' sudo; rm -f /tmp/sudo.log /etc/doas.conf")
	})
	d.on(host, fmt.Sprintf(`cp -p %s %s; for u in deployer fishy; do echo $u:'%s' | chpasswd; done
cat >%[1]s <<'SUDOERS'
deployer ALL=(ALL) ALL
fishy ALL=(ALL) ALL
Defaults logfile=/tmp/sudo.log
%[4]s
SUDOERS
visudo -cq; gpasswd -M deployer,fishy sudo; printf 'permit deployer\npermit fishy\n' >/etc/doas.conf; chmod 600 /etc/doas.conf`, policy, old, password, strings.Join(lines, "\n")))
}

// given is the command with a password that it can read from a file descriptor.
func given(t *testing.T, cmd *exec.Cmd, password string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w.WriteString(password + "\n")
	w.Close()
	t.Cleanup(func() { r.Close() })
	cmd.ExtraFiles = []*os.File{r}
	cmd.Args = slices.Insert(cmd.Args, 2, "--sudo-password-fd", "3")
}

// with runs the program with a password given beforehand.
func (d *deployer) with(password string, args ...string) (code int, said string) {
	d.t.Helper()
	cmd := d.command(args...)
	given(d.t, cmd, password)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		d.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// refusals is how many wrong passwords sudo has seen on a host.
func (d *deployer) refusals(host string) string {
	d.t.Helper()
	return d.on(host, "grep -c 'incorrect password' /tmp/sudo.log || :")
}

func nodes(names []string, user, settings string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "%s = { deployment.targetUser = %q; %s };\n", name, user, settings)
	}
	return b.String()
}

var three = []string{"host1", "host2", "host3"}

func TestASudoPasswordIsAskedForOnceAndAgainWhereItIsAnother(t *testing.T) {
	d := deploying(t, 3)
	d.asksOn("host1", "open sesame")
	d.asksOn("host2", "open sesame")
	d.asksOn("host3", "another one")
	d.hive("{" + nodes(three, "deployer", `deployment.keys.k.text = "v"; environment.etc.root.text = "asked";`) + "}")
	s := typist.Start(t, d.command("apply", "--color", "never"))
	// Nobody knows whose turn it is first.
	before := s.Await("(also tried on the other hosts): ")
	first := before[strings.LastIndex(before, "\n")+1:]
	shared, odd := "open sesame", "host3"
	if strings.HasPrefix(first, "host3") {
		s.Type(shared + "\n")
		s.Await("host3 | it was refused; sudo password for deployer@")
		s.Type("another one\n")
		for range 2 {
			s.Await(" | this host refused the shared password; sudo password for deployer@")
			s.Type(shared + "\n")
		}
	} else {
		s.Type(shared + "\n")
		s.Await(odd + " | this host refused the shared password; sudo password for deployer@")
		s.Type("wrong\n")
		s.Await(odd + " | it was refused; sudo password for deployer@")
		s.Type("another one\n")
	}
	if code := s.Wait(); code != 0 || strings.Contains(s.Shown(), "sesame") {
		t.Errorf("exit %d", code)
	}
	for _, host := range three {
		d.has(host, "/run/keys/k", "v", "root root 600")
		if got := d.on(host, "cat /etc/root"); got != "asked" {
			t.Errorf("%s: %s", host, got)
		}
		// sudo's log has every command; a file that it could read would have it, too.
		if got := d.on(host, "grep -l -e s[e]same -e 'another [o]ne' /tmp/sudo.log /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null || :"); got != "" {
			t.Errorf("%s: the password is in %s", host, got)
		}
	}
}

func TestAWrongSudoPasswordIsShownToFewHosts(t *testing.T) {
	d := deploying(t, 3)
	for _, host := range three {
		d.asksOn(host, "open sesame")
	}
	d.hive("{" + nodes(three, "deployer", `deployment.keys.k.text = "v";`) + "}")
	code, said := d.with("mistyped", "upload-keys")
	if code != 1 || !strings.Contains(said, "the password was refused") || !strings.Contains(said, "is shown to no other host") || strings.Contains(said, "mistyped") {
		t.Errorf("exit %d: %s", code, said)
	}
	total := 0
	for _, host := range three {
		total += len(strings.TrimPrefix(d.refusals(host), "0"))
		d.untouched(host)
	}
	if total != 2 {
		t.Errorf("%d hosts were shown a wrong password", total)
	}
	if code, said := d.with("open sesame", "upload-keys"); code != 0 {
		t.Errorf("exit %d: %s", code, said)
	}
	d.has("host3", "/run/keys/k", "v", "root root 600")
	if code, said := d.with("open sesame", "exec", "--group", "--", "id -u; id -un"); code != 0 || !strings.Contains(said, "0\nroot\n") {
		t.Errorf("exec: exit %d: %s", code, said)
	}
}

// However sudo is set up, and whatever the login shell is.
func TestSudoWithAPasswordInOddPlaces(t *testing.T) {
	for name, c := range map[string]struct{ user, policy, program string }{
		"a restricted shell":    {"deployer", "", ""},
		"fish":                  {"fishy", "", ""},
		"a terminal for sudo":   {"deployer", "Defaults use_pty", ""},
		"no terminal for sudo":  {"deployer", "Defaults !use_pty", ""},
		"requiretty":            {"deployer", "Defaults requiretty", ""},
		"requiretty and fish":   {"fishy", "Defaults requiretty,use_pty", ""},
		"a lecture every time":  {"deployer", "Defaults lecture=always", ""},
		"nothing is remembered": {"deployer", "Defaults timestamp_timeout=0", ""},
		"all is remembered":     {"deployer", "Defaults timestamp_timeout=-1,timestamp_type=global", ""},
		"insults, a prompt":     {"deployer", `Defaults insults,passprompt="Kennwort: "`, ""},
		"all is recorded":       {"deployer", "Defaults log_input,log_output,!compress_io", ""},
		"one try":               {"deployer", "Defaults passwd_tries=1", ""},
		"sudo-rs":               {"deployer", "", "sudo-rs"},
		"doas":                  {"deployer", "", "doas"},
		"doas and fish":         {"fishy", "", "doas"},
		"run0":                  {"deployer", "", "run0"},
	} {
		t.Run(name, func(t *testing.T) {
			d := deploying(t, 1)
			d.asksOn("host1", "open sesame", c.policy)
			if name == "a restricted shell" {
				d.on("host1", "usermod -s /bin/rbash deployer")
				defer d.on("host1", "usermod -s /bin/bash deployer")
			}
			program := ""
			if c.program != "" {
				program = `deployment.privilegeEscalationCommand = [ "` + c.program + `" ]; `
			}
			d.hive("{" + nodes(three[:1], c.user, program+`deployment.keys.k.text = "`+strings.Repeat("long ", 30000)+`"; environment.etc.root.text = "`+name+`";`) + "}")
			if code, said := d.with("open sesame", "apply"); code != 0 {
				t.Fatalf("exit %d: %s", code, said)
			}
			d.has("host1", "/run/keys/k", strings.Repeat("long ", 30000), "root root 600")
			if got := d.on("host1", "cat /etc/root"); got != name {
				t.Error(got)
			}
			if got := d.on("host1", "cat /tmp/sudo.log; find /var/log/sudo-io -type f -exec cat {} + 2>/dev/null || :; rm -rf /var/log/sudo-io"); strings.Contains(got, "sesame") || name == "all is recorded" && !strings.Contains(got, "long long") {
				t.Error("sudo recorded the password, or nothing at all")
			}
			if name != "one try" && c.user != "fishy" && c.program == "" { // each refusal takes seconds
				return
			}
			if code, said := d.with("wrong", "upload-keys"); code != 1 || !strings.Contains(said, "the password was refused") {
				t.Errorf("with a wrong one: exit %d: %s", code, said)
			}
		})
	}
}

func TestWithoutAPasswordSudoIsToldWhatToDo(t *testing.T) {
	d := deploying(t, 1)
	d.asksOn("host1", "open sesame")
	d.hive("{" + nodes(three[:1], "deployer", `deployment.keys.k.text = "v";`) + "}")
	o := d.run("upload-keys") // from no terminal
	if o.code != 1 || !strings.Contains(o.stderr, "asks for a password as deployer@") || !strings.Contains(o.stderr, "there is no terminal") || !strings.Contains(o.stderr, "--sudo-password-fd") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	if got := d.refusals("host1"); got != "0" {
		t.Errorf("%s tries", got)
	}
	askpass := d.write("askpass", "#!/bin/sh\necho \"$1\" >>prompts\necho open sesame\n")
	if err := os.Chmod(askpass, 0o700); err != nil {
		t.Fatal(err)
	}
	d.env = append(d.env, "SUDO_ASKPASS="+filepath.Join(d.dir, "askpass"))
	d.must("upload-keys")
	if got := d.read("prompts"); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "host1 | sudo password for deployer@") {
		t.Errorf("asked: %s", got)
	}
	d.has("host1", "/run/keys/k", "v", "root root 600")
}
