package remote

import (
	"bytes"
	"strings"
	"testing"
)

func TestVariablesAndTheAgentAreForTheUsersOwnCommands(t *testing.T) {
	s := serve(t, "AcceptEnv SENT_* SET WITH_SPACES REFUSED_NOT")
	socket := serveAgent(t, keyring(t, s.path("id")))
	t.Setenv("SENT_HERE", "it's sent")
	t.Setenv("NOT_SENT", "x")
	t.Setenv("SET", "ours, in the place of which SetEnv has another")
	t.Setenv("AGENT_HERE", socket)
	for kind, line := range map[string]string{"native": "", "ssh": viaSSH} {
		for forward, with := range map[string]bool{"ForwardAgent yes\nIdentityAgent " + socket: true, "ForwardAgent $AGENT_HERE": true, "ForwardAgent no": false} {
			cfg := s.config(t, line, forward, "SendEnv SENT_* SET REFUSED", `SetEnv SET=value WITH_SPACES="a  b"`)
			for _, commands := range []bool{true, false} {
				cfg.Commands = commands
				h := mustDial(t, cfg)
				var out bytes.Buffer
				// Twice, as each session asks for it.
				for range 2 {
					out.Reset()
					if err := h.Run(t.Context(), `echo "[$SENT_HERE|$NOT_SENT|$SET|$WITH_SPACES]"; ssh-add -l 2>&1 || :`, nil, &out, nil); err != nil {
						t.Fatal(err)
					}
				}
				said := out.String()
				if got := strings.Contains(said, "[it's sent||value|a  b]"); got != commands || !commands && !strings.Contains(said, "[|||]") {
					t.Errorf("%s, %s, commands %v: %s", kind, forward, commands, said)
				}
				if got := strings.Contains(said, "SHA256:"); got != (commands && with) {
					t.Errorf("%s, %s, commands %v: the agent: %s", kind, forward, commands, said)
				}
			}
		}
	}
}
