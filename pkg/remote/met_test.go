package remote

import (
	"errors"
	"os"
	"strings"
	"testing"
)

const unrecorded = "UserKnownHostsFile /dev/null"

func TestAHostWhoseKeyIsNotRecordedShowsTheSameAllRun(t *testing.T) {
	s, stranger := serve(t), serve(t)
	stranger.write(t, "authorized_keys", s.read(t, "id.pub")) // who lets in anybody
	for name, file := range map[string]string{"null": unrecorded, "none": "UserKnownHostsFile none", "read only": "UserKnownHostsFile /proc/nowhere/known_hosts"} {
		t.Run(name, func(t *testing.T) {
			var a Hosts
			defer a.Close()
			var notes []string
			open := func(port string, lines ...string) error {
				cfg := s.configAt(t, port, append(lines, file)...)
				cfg.Note = func(text string) { notes = append(notes, text) }
				_, err := a.Reopen(t.Context(), node, cfg)
				return err
			}
			for _, line := range []string{"", "HostKeyAlgorithms ^ecdsa-sha2-nistp256", ""} {
				if err := open(s.port, line); err != nil {
					t.Errorf("%s: %v", line, err)
				}
			}
			if all := strings.Join(notes, "\n"); len(notes) != 1 || !strings.Contains(all, "recorded") || !strings.Contains(all, "the next run accepts any again") {
				t.Errorf("notes: %q", notes)
			}
			logins := stranger.logins()
			err := open(stranger.port)
			if !errors.Is(err, ErrHostKey) || !strings.Contains(err.Error(), "it had before in this run (then "+fingerprint(t, s.read(t, "host_ed25519.pub"))+", now "+fingerprint(t, stranger.read(t, "host_ed25519.pub"))) {
				t.Errorf("a stranger: %v", err)
			}
			if stranger.logins() != logins {
				t.Error("a stranger was logged in to")
			}
			if err := open(s.port, "HostKeyAlgorithms ecdsa-sha2-nistp256"); !errors.Is(err, ErrHostKey) {
				t.Errorf("its other key: %v", err)
			}
			if err := open(s.port); err != nil {
				t.Errorf("it is refused after a stranger: %v", err)
			}
		})
	}
}

func TestAJumpHostWhoseKeyIsNotRecordedShowsTheSameAllRun(t *testing.T) {
	s, gate, stranger := serve(t), serve(t), serve(t)
	stranger.write(t, "authorized_keys", gate.read(t, "id.pub"))
	f := behind(t, s, map[string]*server{"gate": gate})
	var a Hosts
	defer a.Close()
	way := []string{"Host gate", unrecorded, "Host box", "ProxyJump gate"}
	if _, err := a.Open(t.Context(), node, f.config(t, way...)); err != nil {
		t.Fatal(err)
	}
	a.jumps.close() // as if it went down
	a.jumps.closed = false
	if _, err := a.Reopen(t.Context(), node, f.config(t, append([]string{"Host gate", "Port " + stranger.port}, way...)...)); !errors.Is(err, ErrHostKey) || !strings.Contains(err.Error(), "jump host gate: ") {
		t.Errorf("a stranger: %v", err)
	}
	if _, err := os.Stat(stranger.path("known_hosts")); stranger.logins() > 0 || err == nil {
		t.Error("a stranger was logged in to")
	}
}
