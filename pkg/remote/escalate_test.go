package remote

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/colmena-go/colmena-go/pkg/escalation"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

// serveAnyUser is an SSH server that lets anybody in and runs commands as the
// user of the test: a real sshd would need an account that is not root's.
func serveAnyUser(t *testing.T) (port string) {
	t.Helper()
	_, key, _ := ed25519.GenerateKey(nil)
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(signer)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accept(t, listener, func(conn net.Conn) {
		_, channels, requests, err := ssh.NewServerConn(conn, config)
		if err != nil {
			return
		}
		var tasks sync.WaitGroup
		defer tasks.Wait()
		tasks.Go(func() { ssh.DiscardRequests(requests) })
		for c := range channels {
			if channel, requests, err := c.Accept(); err == nil {
				tasks.Go(func() { session(channel, requests) })
			}
		}
	})
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port
}

// session runs one command, and ends it when the client closes the channel.
func session(channel ssh.Channel, requests <-chan *ssh.Request) {
	ctx, cancel := context.WithCancel(context.Background())
	var command sync.WaitGroup
	for request := range requests {
		request.Reply(request.Type == "exec", nil)
		var exe struct{ Command string }
		ssh.Unmarshal(request.Payload, &exe)
		command.Go(func() {
			defer channel.Close()
			cmd := exec.CommandContext(ctx, "sh", "-c", exe.Command)
			cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = channel, channel, channel.Stderr(), time.Second
			cmd.Run()
			channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(cmd.ProcessState.ExitCode())}))
		})
	}
	cancel()
	command.Wait()
}

func anyUserConfig(t *testing.T, port, user string, escalate ...string) Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ssh_config")
	text := "Host box\nHostName 127.0.0.1\nPort " + port + "\nIdentityAgent none\nUserKnownHostsFile /dev/null\nGlobalKnownHostsFile /dev/null\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Config{Host: "box", User: user, SSHConfigFile: path, Escalate: escalate}
}

func TestPrivilegesThatAreNotGivenWithoutAskingEndDial(t *testing.T) {
	port := serveAnyUser(t)
	refuses := []string{"sh", "-c", "read answer || echo 'sudo: a password is required' >&2; exit 1", "--"}
	err := dialBriefly(t, t.Context(), anyUserConfig(t, port, "ops", refuses...))
	for _, words := range []string{
		"deployment.privilegeEscalationCommand (sh -c read", "as ops@127.0.0.1:" + port, "status 1",
		"the host said: sudo: a password is required", "without a password", "targetUser",
	} {
		if !errors.Is(err, ErrEscalation) || !strings.Contains(err.Error(), words) {
			t.Errorf("error %v, want ErrEscalation that says %q", err, words)
		}
	}
	if err := dialBriefly(t, t.Context(), anyUserConfig(t, port, "root", refuses...)); err != nil {
		t.Error("root needs no privileges:", err)
	}
}

func TestAProgramThatIsNotThereIsToBeInstalled(t *testing.T) {
	port := serveAnyUser(t)
	for _, name := range []string{"no-such-program", "/nowhere/doas"} { // with env, and without
		err := dialBriefly(t, t.Context(), anyUserConfig(t, port, "ops", name))
		if !errors.Is(err, ErrEscalation) || !strings.Contains(err.Error(), "; install it there, correct deployment.privilegeEscalationCommand, or") || strings.Contains(err.Error(), "without a password") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWithoutATerminalTheAdviceIsWhatHelpsThere(t *testing.T) {
	sudo := filepath.Join(t.TempDir(), "sudo")
	if err := os.WriteFile(sudo, []byte("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := anyUserConfig(t, serveAnyUser(t), "ops", sudo)
	cfg.Passwords = escalation.NewPasswords(nil)
	err := dialBriefly(t, t.Context(), cfg)
	if !errors.Is(err, ErrEscalation) || !strings.Contains(err.Error(), "(--sudo-password-fd, or a program that SUDO_ASKPASS names)") || strings.Contains(err.Error(), "--ask-sudo-password") {
		t.Errorf("%v", err)
	}
}

func TestPrivilegesThatAreWaitedForInVainEndDial(t *testing.T) {
	port := serveAnyUser(t)
	config := anyUserConfig(t, port, "ops", "sh", "-c", "echo Pass''word: >&2; exec sleep 8", "--")
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	time.AfterFunc(500*time.Millisecond, func() { cancel(why) })
	if err := dialBriefly(t, ctx, config); !errors.Is(err, why) {
		t.Errorf("error %v, want %v", err, why)
	}
	set(t, &escalationLimit, 500*time.Millisecond)
	err := dialBriefly(t, t.Context(), config)
	for _, words := range []string{"no answer within 500ms", "the host said: Password:"} {
		if !errors.Is(err, ErrEscalation) || !strings.Contains(err.Error(), words) {
			t.Errorf("error %v, want ErrEscalation that says %q", err, words)
		}
	}
}

func TestPrivilegesThatAreGivenStandBeforeEveryCommand(t *testing.T) {
	port := serveAnyUser(t)
	h := mustDial(t, anyUserConfig(t, port, "ops", "env", "ROLE=it's root"))
	var out bytes.Buffer
	if err := h.Run(t.Context(), `sh -c 'echo "$ROLE"'`, nil, &out, nil); err != nil || out.String() != "it's root\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// Who is not root after all, or runs no commands at all, is told so and not that
// a password was asked for.
func TestWhoDoesNotBecomeRootIsTold(t *testing.T) {
	port := serveAnyUser(t)
	for _, c := range []struct {
		name     string
		escalate []string
		is       error
		words    []string
	}{
		{"another user", []string{"sudo-to-alice"}, ErrEscalation, []string{"(sudo-to-alice) makes us alice, not root"}},
		{"a shell that runs nothing", []string{"nologin"}, hostscript.ErrShell, []string{"ops@", "This account is closed"}},
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{
			// Everything that runs behind it takes alice's id(1) for the system's.
			"sudo-to-alice": "PATH=" + dir + "/alice:$PATH exec \"$@\"\n",
			"nologin":       "echo This account is closed; exit 1\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		os.Mkdir(filepath.Join(dir, "alice"), 0o755)
		os.WriteFile(filepath.Join(dir, "alice/id"), []byte("#!/bin/sh\ncase $1 in -u) echo 1000 ;; *) echo alice ;; esac\n"), 0o755)
		if c.name == "a shell that runs nothing" {
			// The login shell itself ends with every command.
			os.WriteFile(filepath.Join(dir, "sh"), []byte("#!/bin/sh\necho This account is closed; exit 1\n"), 0o755)
		}
		t.Setenv("PATH", dir+":/usr/sbin:/usr/bin:/sbin:/bin")
		err := dialBriefly(t, t.Context(), anyUserConfig(t, port, "ops", c.escalate...))
		for _, words := range c.words {
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), words) {
				t.Errorf("%s: error %v, want %v that says %q", c.name, err, c.is, words)
			}
		}
	}
}

func TestAProgramThatWantsACodeAsWellIsTold(t *testing.T) {
	set(t, &passwordLimit, 2*time.Second)
	sudo := filepath.Join(t.TempDir(), "sudo")
	text := `#!/bin/sh
[ "$1" = -n ] && { echo "sudo: a password is required" >&2; exit 1; }
printf '%s' "$3" | sed 's/%%/%/g' >&2; read -r password; printf 'Verification code: ' >&2; read -r code; exit 1
`
	if err := os.WriteFile(sudo, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := anyUserConfig(t, serveAnyUser(t), "ops", sudo)
	cfg.Passwords = escalation.NewPasswords(&person{answers: []string{"right"}})
	err := dialBriefly(t, t.Context(), cfg)
	if !errors.Is(err, ErrEscalation) || !strings.Contains(err.Error(), "asks for more than a password as ops@") || !strings.Contains(err.Error(), "Verification code:") {
		t.Errorf("%v", err)
	}
}
