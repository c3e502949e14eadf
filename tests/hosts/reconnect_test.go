package hosts_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Whatever is under way when the connection is cut, it is done in the end.
func TestADeploymentGoesOnOverAnotherConnection(t *testing.T) {
	d := deploying(t, 1)
	t.Cleanup(func() {
		d.hive("{ host1 = { }; }")
		d.must("apply")
	})
	for i, word := range []string{"copying path", "resolving", "bringing 1 key up to date", "activating: switch", "cutting now", "the switch waits for"} {
		t.Run(word, func(t *testing.T) {
			d.t = t
			generation := fmt.Sprint("generation-", i, "-", time.Now().UnixNano())
			// A switch that takes a while and prints; a key that takes one, too; and a service
			// that has the switch wait for the late one.
			d.hive(fmt.Sprintf(`{ host1 = {
        environment.etc.generation.text = "%[1]s";
        system.activationScripts.slow = "echo cutting now; for i in 1 2 3 4 5; do echo counting $i; sleep 0.2; done";
        deployment.keys.early.keyCommand = [ "sh" "-c" "sleep 0.5; printf %[1]s" ];
        deployment.keys.late-%[2]d = { text = "%[1]s"; uploadAt = "post-activation"; };
        systemd.services.needs-late-%[2]d = {
          wantedBy = [ "multi-user.target" ]; requires = [ "late-%[2]d-key.service" ]; after = [ "late-%[2]d-key.service" ];
          serviceConfig.Type = "oneshot"; serviceConfig.RemainAfterExit = true; script = "true";
        };
      }; }`, generation, i))
			cmd := d.command("apply", "-v")
			said := &listener{word: word, heard: make(chan struct{})}
			cmd.Stderr = said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case <-said.heard:
				if err := d.host("host1").KillConnections(); err != nil {
					t.Error(err)
				}
			case <-time.After(2 * time.Minute):
				t.Errorf("%q is not said", word)
			}
			if err := <-ended; err != nil {
				t.Fatalf("%v\n%s", err, &said.said)
			}
			text := said.said.String()
			if !strings.Contains(text, "connecting again") {
				t.Errorf("the connection was not lost:\n%s", text)
			}
			for n := 1; n <= 5; n++ {
				if line := fmt.Sprintf("| counting %d\n", n); strings.Count(text, line) != 1 {
					t.Errorf("%q is not told once:\n%s", line, text)
				}
			}
			if got := d.on("host1", "cat /etc/generation"); got != generation {
				t.Errorf("the host runs %s, want %s", got, generation)
			}
			d.has("host1", "/run/keys/early", generation, "root root 600")
			d.has("host1", fmt.Sprintf("/run/keys/late-%d", i), generation, "root root 600")
			d.state("host1", fmt.Sprintf("needs-late-%d.service", i), "active")
			if left := d.on("host1", "ls -d /run/colmena-go/activate-* 2>/dev/null || :"); left != "" {
				t.Errorf("left behind: %s", left)
			}
		})
	}
	d.t = t
}

// A user's own command may be anything: it is not begun again.
func TestACommandThatIsCutIsNotRepeated(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1 = { }; }`)
	d.on("host1", "rm -f /root/ran")
	cmd := d.command("exec", "--", "echo ran >>/root/ran; echo begun; sleep 4324")
	out := &lineCounter{want: 1, there: make(chan struct{})}
	cmd.Stdout = out
	said := &listener{word: "\x00", heard: make(chan struct{})}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-out.there
	d.host("host1").KillConnections()
	if cmd.Wait() == nil || !strings.Contains(said.said.String(), "the connection was lost") {
		t.Errorf("%s", &said.said)
	}
	if ran := d.on("host1", "cat /root/ran; rm /root/ran"); ran != "ran" {
		t.Errorf("it ran: %s", ran)
	}
	d.ended("host1", "sleep 4324")
}
