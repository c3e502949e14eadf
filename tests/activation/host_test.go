package activation_test

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/activation"
	"github.com/colmena-go/colmena-go/tests/fleet"
	"github.com/colmena-go/colmena-go/tests/hostdouble"
)

func TestMain(m *testing.M) { fleet.Main(m) }

// booted is a host of the fleet, reached with the ssh program as root.
type booted struct {
	name   string
	config string // for ssh -F
	path   string // PATH there, "" for the login shell's own
}

// host returns the first host of the fleet that the tests run in.
func host(t *testing.T) *booted {
	t.Helper()
	f := fleet.Require(t, 1)
	return &booted{name: f.Hosts[0].Name, config: f.SSHConfig}
}

func (h *booted) ssh(ctx context.Context, command string) *exec.Cmd {
	if h.path != "" {
		command = "env PATH=" + h.path + " " + command
	}
	return exec.CommandContext(ctx, "ssh", "-F", h.config, "-T", "root@"+h.name, command)
}

// Run keeps the contract of [hostscript.Runner]. When ctx is done, ssh is killed
// and the host sees its connection close.
func (h *booted) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	err := hostdouble.Run(ctx, h.ssh(ctx, command), hostdouble.Streams{In: stdin, Out: stdout, Err: stderr})
	var exit hostdouble.ExitError
	const sshFailed = 255
	if errors.As(err, &exit) && exit.ExitStatus() == sshFailed {
		return exit.ExitError
	}
	return err
}

// sh runs a command on the host, in clean-ups too, and returns what it prints, whether it succeeds
// or not.
func (h *booted) sh(t *testing.T, command string) string {
	t.Helper()
	out, err := (&booted{name: h.name, config: h.config}).ssh(context.Background(), command).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", command, err)
	}
	return strings.TrimSpace(string(out))
}

// put runs a command on the host with the given input.
func (h *booted) put(t *testing.T, input, command string) string {
	t.Helper()
	cmd := h.ssh(context.Background(), command)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return strings.TrimSpace(string(out))
}

// system puts a stand-in for a toplevel into the host's store, whose
// switch-to-configuration is the given shell script.
func (h *booted) system(t *testing.T, script string) string {
	t.Helper()
	// As an activation does, it makes itself the current system.
	const activate = "case $1 in switch | test) ln -sfn ${0%/bin/*} /run/current-system ;; esac\n"
	t.Cleanup(func() { h.sh(t, "rm -f /run/current-system") })
	return h.put(t, "#!/bin/sh\n"+activate+script, `d=$(mktemp -d) && mkdir -p $d/system/bin &&
cat >$d/system/bin/switch-to-configuration && chmod +x $d/system/bin/* && nix-store --add $d/system && rm -r $d`)
}

// unit gives the host a unit for the time of the test.
func (h *booted) unit(t *testing.T, name, service string) {
	t.Helper()
	file := "'/etc/systemd/system/" + name + "'"
	h.put(t, "[Service]\n"+service, "cat >"+file+"; systemctl daemon-reload")
	t.Cleanup(func() {
		h.put(t, "", "systemctl stop '"+name+"'; systemctl reset-failed; rm "+file+"; systemctl daemon-reload")
	})
}

// eventually waits until a command succeeds on the host.
func (h *booted) eventually(t *testing.T, command string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if h.sh(t, "{ "+command+"; } >/dev/null && echo yes") == "yes" {
			return
		}
	}
	t.Fatalf("not within 20 s: %s", command)
}

// clean fails the test if an activation left a unit, a process or a file behind.
func (h *booted) clean(t *testing.T) {
	t.Helper()
	const units = "systemctl list-units --all --plain --no-legend 'colmena-go*'"
	h.eventually(t, `[ -z "$(`+units+`)" ]`) // a killed switch may still be at its end
	if left := h.sh(t, units+`; ls -d /run/colmena-go/activate-* 2>/dev/null
pgrep -a -f '^(setsid )?/bin/sh /run/colmena-go'; pgrep -a flock`); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

// hooks collect the output and let no note pass.
func hooks(t *testing.T, lines *[]string) activation.Hooks {
	return activation.Hooks{
		Output: func(line string) {
			if lines != nil {
				*lines = append(*lines, line)
			}
		},
		Note: func(note string) { t.Errorf("note: %s", note) },
	}
}
