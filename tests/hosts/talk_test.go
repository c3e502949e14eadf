package hosts_test

import (
	"strings"
	"testing"
	"time"
)

// Start-up files that print, set titles or greet are common, and no reason to
// fail: what a login shell says before our program runs does not count.
func TestHostsThatTalkFirstAreDeployedTo(t *testing.T) {
	for name, files := range map[string]string{
		"a .bashrc that prints": `printf 'echo welcome\nprintf "\\033]0;title\\007"\necho aside >&2\n' >/root/.bashrc`,
		"a fish that prints":    `mkdir -p /root/.config/fish; printf 'echo welcome\n' >/root/.config/fish/config.fish; usermod -s /usr/bin/fish root`,
	} {
		t.Run(name, func(t *testing.T) {
			d := deploying(t, 1)
			d.on("host1", "cp -n /root/.bashrc /root/.bashrc.usual 2>/dev/null || :; "+files)
			defer d.on("host1", "usermod -s /bin/bash root; rm -rf /root/.config/fish; mv /root/.bashrc.usual /root/.bashrc")
			d.hive(`{ host1 = { environment.etc.talk.text = "` + name + `";
			  deployment.keys = { a.text = "1"; b = { text = "2"; uploadAt = "post-activation"; }; }; }; }`)
			d.must("upload-keys")
			d.has("host1", "/run/keys/a", "1", "root root 600")
			d.on("host1", "rm /run/keys/*")
			d.must("apply")
			d.has("host1", "/run/keys/b", "2", "root root 600")
			if got := d.on("host1", "cat /etc/talk"); got != name {
				t.Errorf("the system is not the new one: %s", got)
			}
		})
	}
}

// A start-up file that hands over to another shell eats what we send: nothing is
// sent to it, and the reason is told soon.
func TestAHostWhoseShellNeverRunsCommandsIsToldSoon(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1.deployment.keys.a.text = "1"; }`)
	d.must("upload-keys") // whatever is learned on the first connection
	d.on("host1", "cp -n /root/.bashrc /root/.bashrc.usual 2>/dev/null || :; printf 'echo off to fish\nexec fish\n' >/root/.bashrc; rm /run/keys/a")
	defer d.on("host1", "mv /root/.bashrc.usual /root/.bashrc")
	for _, command := range []string{"upload-keys", "apply"} {
		begin := time.Now()
		o := d.run(command, "--json")
		if took := time.Since(begin); o.code != 1 || took > 40*time.Second {
			t.Errorf("%s: exit %d after %v", command, o.code, took)
		}
		for _, says := range []string{"off to fish", ".bashrc"} {
			if text := o.results["host1"].Error; !strings.Contains(text, says) {
				t.Errorf("%s: %q does not say %q", command, text, says)
			}
		}
	}
	d.on("host1", "[ ! -e /run/keys/a ]")
	if left := d.on("host1", "pgrep -x fish || :"); left != "" {
		t.Errorf("fish is left waiting: %s", left)
	}
}
