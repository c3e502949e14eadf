package hosts_test

import (
	"testing"
)

// Session loggers and their like change where output goes; an upload and an
// activation are told all the same.
func TestHostsWhoseShellsRedirectAreDeployedTo(t *testing.T) {
	for name, bashrc := range map[string]string{
		"a session logger":         `exec > >(tee -a /tmp/session.log) 2>&1`,
		"stderr joined to stdout":  `exec 2>&1`,
		"stderr thrown away":       `exec 2>/dev/null`,
		"a good-bye":               `trap "echo bye" EXIT`,
		"options of tar and of ls": `export TAR_OPTIONS=--verbose QUOTING_STYLE=shell-always BLOCK_SIZE=1M POSIXLY_CORRECT=1`,
	} {
		t.Run(name, func(t *testing.T) {
			d := deploying(t, 1)
			d.on("host1", "cp -n /root/.bashrc /root/.bashrc.usual 2>/dev/null || :; printf '%s\\n' '"+bashrc+"' >/root/.bashrc")
			defer d.on("host1", "mv /root/.bashrc.usual /root/.bashrc; rm -f /tmp/session.log")
			d.hive(`{ host1 = { environment.etc.odd.text = "` + name + `";
			  deployment.keys = { a.text = "1"; b = { text = "2"; uploadAt = "post-activation"; }; }; }; }`)
			d.must("apply")
			d.has("host1", "/run/keys/a", "1", "root root 600")
			d.has("host1", "/run/keys/b", "2", "root root 600")
			if got := d.on("host1", "cat /etc/odd"); got != name {
				t.Errorf("the system is not the new one: %s", got)
			}
			d.must("apply", "--no-keys")
		})
	}
}
