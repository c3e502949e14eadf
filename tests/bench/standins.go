package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/crypto/ssh"
)

// standIns are hosts of which there can be hundreds: SSH servers of this process, each
// of which runs what it is told in a mount namespace with a /run and profiles of its
// own, and with this machine's store. systemd runs on none.
type standIns struct {
	config *ssh.ServerConfig
	held   []io.Closer // listeners, and what keeps the namespaces
}

// furnish makes a mount namespace what a host needs, says so, and keeps it until its
// input ends, as it does with this process.
const furnish = `mount -t tmpfs run /run; mount -t tmpfs profiles /nix/var/nix/profiles; mount -t tmpfs roots /nix/var/nix/gcroots
mkdir -m 0750 /run/keys; echo; exec cat`

// newNamespace makes one, and returns the file that it is entered by.
func (s *standIns) newNamespace() (file string, err error) {
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-ec", furnish)
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	s.held = append(s.held, in)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", err
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		return "", fmt.Errorf("a mount namespace for a host: %w", err)
	}
	return fmt.Sprintf("/proc/%d/ns/mnt", cmd.Process.Pid), nil
}

// newStandIns starts one for each name, and writes an ssh_config that leads there.
func (b *bench) newStandIns(names []string, sshConfig string) (*standIns, error) {
	s := &standIns{}
	text, err := os.ReadFile(b.fleet.Dir + "/id_ed25519")
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParsePrivateKey(text) // for the hosts as well: nobody else hears of it
	if err != nil {
		return nil, err
	}
	any := func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }
	s.config = &ssh.ServerConfig{PublicKeyCallback: any}
	s.config.AddHostKey(key)
	var config strings.Builder
	for _, name := range names {
		namespace, err := s.newNamespace()
		if err != nil {
			return nil, err
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		s.held = append(s.held, listener)
		go s.serve(listener, namespace)
		fmt.Fprintf(&config, "Host %s\n  HostName 127.0.0.1\n  Port %d\n", name, listener.Addr().(*net.TCPAddr).Port)
	}
	fmt.Fprintf(&config, "Host *\n  IdentityFile %s/id_ed25519\n  IdentityAgent none\n  UserKnownHostsFile %s/many_known_hosts\n  GlobalKnownHostsFile /dev/null\n", b.fleet.Dir, b.dir)
	return s, os.WriteFile(sshConfig, []byte(config.String()), 0o600)
}

// addresses are those of all.
func (s *standIns) addresses() (all []string) {
	for _, h := range s.held {
		if l, ok := h.(net.Listener); ok {
			all = append(all, l.Addr().String())
		}
	}
	return all
}

func (s *standIns) close() {
	for _, h := range s.held {
		h.Close()
	}
}

func (s *standIns) serve(listener net.Listener, namespace string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go s.connection(conn, namespace)
	}
}

func (s *standIns) connection(conn net.Conn, namespace string) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			continue
		}
		go func() {
			for r := range requests {
				var run struct{ Command string }
				ok := r.Type == "exec" && ssh.Unmarshal(r.Payload, &run) == nil
				r.Reply(ok, nil)
				if ok {
					go answer(channel, namespace, run.Command)
				}
			}
		}()
	}
}

// answer runs a command, and tells its status.
func answer(channel ssh.Channel, namespace, command string) {
	defer channel.Close()
	cmd := exec.Command("nsenter", "--mount="+namespace, "sh", "-c", command)
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	status := uint32(127)
	if in, err := cmd.StdinPipe(); err == nil && cmd.Start() == nil {
		go func() { // ends with the channel
			io.Copy(in, channel)
			in.Close()
		}()
		var exit *exec.ExitError
		if err := cmd.Wait(); errors.As(err, &exit) {
			status = uint32(exit.ExitCode())
		} else if err == nil {
			status = 0
		}
	}
	channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
}
