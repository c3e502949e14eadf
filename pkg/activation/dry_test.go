package activation

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

func TestADryActivationIsReadAsPeopleSeeIt(t *testing.T) {
	const text = `would stop the following units: gone.service, web.service, web.socket
would NOT stop the following changed units: getty@tty1.service
would activate the configuration...
would stop the following units: not in a line of its own, as a script prints it
setting up users
would reload the following units: dbus.service
would restart the following units: nix-daemon.service, sshd.service
would NOT restart the following changed units: display-manager.service
would restart systemd
would start the following units: foo.timer, web.service, web.socket
`
	got := fmt.Sprint(unitsIn(strings.Replace(text, "would stop the following units: not", "it would stop the following units: not", 1)))
	if want := "{[gone.service] [foo.timer] [nix-daemon.service sshd.service systemd web.service web.socket] [dbus.service] [display-manager.service getty@tty1.service]}"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// says is a host whose switch-to-configuration says so.
type says struct{ text string }

func (s says) Run(_ context.Context, command string, _ io.Reader, stdout, _ io.Writer) error {
	mark := strings.ReplaceAll(strings.Fields(strings.SplitN(command, "echo ", 2)[1])[0], `""`, "")
	_, err := io.WriteString(stdout, strings.TrimSuffix(mark, ";")+"\n"+s.text)
	return err
}

// What a host says of its units is shown, and so may be neither long nor anything but text.
func TestAHostThatLiesOfItsUnitsIsBounded(t *testing.T) {
	const path = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos-system-x"
	units, err := DryRun(t.Context(), says{"would stop the following units: a\x1b[2Jb.service, " + strings.Repeat("u", 5000) + "\n\nstatus 0\n"}, path)
	if err != nil || units.Stop[0] != "a[2Jb.service" || len(units.Stop[1]) > 2*nameSize {
		t.Errorf("%q, %v", units, err)
	}
	for text, want := range map[string]string{
		"nonsense":                           "more than makes sense",
		"Could not acquire lock\n\nstatus 1": "ended with 1: Could not acquire lock",
		strings.Repeat("x", dryLength+1):     "too much",
	} {
		if _, err := DryRun(t.Context(), says{text}, path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
	if _, err := DryRun(t.Context(), says{}, "/nix/store/x; rm -rf /"); err == nil {
		t.Error("what is no path is run")
	}
}

var _ hostscript.Runner = says{}
