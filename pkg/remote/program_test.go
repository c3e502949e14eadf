package remote

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAHostIsReachedThroughAProxyCommand(t *testing.T) {
	s, gate := serve(t), serve(t)
	f := behind(t, s, map[string]*server{"gate": gate})
	seen := s.path("seen")
	h := mustDial(t, f.config(t, "Host box\nProxyCommand sh -c \"echo '%n %h %p %r %%' >"+seen+"; exec ssh -o StrictHostKeyChecking=accept-new -F "+s.path("ssh_config")+" -W '[%h]:%p' gate\""))
	works(t, h)
	if got, want := s.read(t, "seen"), "box 127.0.0.1 "+s.port+" "+me(t)+" %\n"; got != want {
		t.Errorf("tokens became %q, want %q", got, want)
	}
	mustDial(t, f.config(t, "Host box\nProxyCommand none"))
}

func TestAProxyCommandEndsWithTheConnection(t *testing.T) {
	for kind, line := range map[string]string{"native": "", "ssh": viaSSH} {
		t.Run(kind, func(t *testing.T) { proxyCommandEnds(t, line) })
	}
}

func proxyCommandEnds(t *testing.T, line string) {
	s, gate := serve(t), serve(t)
	f := behind(t, s, map[string]*server{"gate": gate})
	// One that ignores its end, and has begun something else.
	text := "trap '' HUP TERM; (sleep 300) & echo $! >>" + s.path("pids") + "; echo $$ >>" + s.path("pids") + "; ssh -o StrictHostKeyChecking=accept-new -F " + s.path("ssh_config") + " -W %h:%p gate; sleep 300"
	s.write(t, "way", text)
	h := mustDial(t, f.config(t, "Host box\n"+line+"\nProxyCommand sh -c \"$(sed 's/%%h/%h/; s/%%p/%p/' "+s.path("way")+")\""))
	works(t, h)
	pids := strings.Fields(s.read(t, "pids"))
	if len(pids) != 2 {
		t.Fatalf("pids: %q", pids)
	}
	h.Close()
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %s goes on", pid)
		}
	}
}

// alive reports whether a process is there and no zombie.
func alive(pid string) bool {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func TestAProxyCommandThatFailsIsTold(t *testing.T) {
	s := serve(t)
	for command, says := range map[string]string{
		"sh -c 'echo no route >&2; exit 3'":             "cannot reach box:" + s.port + " (127.0.0.1): its ProxyCommand ended with status 3: no route",
		"/nowhere/program":                              "its ProxyCommand ended with status 127",
		"sh -c 'yes $(seq 1000) | head -c 1000000 >&2'": "its ProxyCommand ended: ",
		"true %d": "sets proxycommand with %d, which is not a token",
	} {
		_, err := dial(t, s.config(t, "Host box\nProxyCommand "+command))
		if err == nil || !strings.Contains(err.Error(), says) || len(err.Error()) > 500 {
			t.Errorf("%s: %v, want an error that says %s", command, err, says)
		}
		if says := strings.HasPrefix(command, "true"); errors.Is(err, ErrUnreachable) == says {
			t.Errorf("%s: %v", command, err)
		}
	}
}

func TestAProxyCommandThatIsSilentIsGivenUp(t *testing.T) {
	set(t, &handshakeGrace, 0)
	s := serve(t)
	begin := time.Now()
	_, err := dial(t, s.config(t, "Host box\nProxyCommand sh -c 'echo hm >&2; sleep 300'", "ConnectTimeout 1"))
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "its ProxyCommand did not get there in time: hm") || time.Since(begin) > 10*time.Second {
		t.Errorf("%v after %s", err, time.Since(begin))
	}
	why := errors.New("enough")
	if err := dialBriefly(t, after(t, 200*time.Millisecond, why), s.config(t, "Host box\nProxyCommand sleep 300")); !errors.Is(err, why) {
		t.Errorf("%v, want %v", err, why)
	}
}
