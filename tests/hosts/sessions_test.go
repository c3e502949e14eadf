package hosts_test

import (
	"testing"
	"time"
)

// An sshd that opens one session at a time: the switch waits for a key, which another
// session has to bring; and what the host lacks is asked while it is copied.
func TestAHostWithOneSessionAtATimeIsDeployedTo(t *testing.T) {
	d := deploying(t, 1)
	d.on("host1", `printf 'MaxSessions 1\n' >/etc/ssh/sshd_config.d/00-one.conf; systemctl restart ssh`)
	defer d.on("host1", `rm /etc/ssh/sshd_config.d/00-one.conf; systemctl restart ssh`)
	t.Cleanup(func() {
		d.hive("{ host1 = { }; }")
		d.must("apply")
	})
	d.hive(`{ host1 = {
    environment.etc.sessions.text = "one";
    deployment.keys.early.text = "v";
    deployment.keys.late = { text = "v"; uploadAt = "post-activation"; };
    systemd.services.needs-late = {
      wantedBy = [ "multi-user.target" ]; requires = [ "late-key.service" ]; after = [ "late-key.service" ];
      serviceConfig.Type = "oneshot"; serviceConfig.RemainAfterExit = true; script = "true";
    };
  }; }`)
	begin := time.Now()
	d.must("apply")
	t.Logf("apply with MaxSessions 1: %v", time.Since(begin))
	d.has("host1", "/run/keys/early", "v", "root root 600")
	d.has("host1", "/run/keys/late", "v", "root root 600")
	d.state("host1", "needs-late.service", "active")
	if got := d.on("host1", "cat /etc/sessions"); got != "one" {
		t.Errorf("the host runs another system: %s", got)
	}
}
