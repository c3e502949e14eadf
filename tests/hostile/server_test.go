package hostile_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"net"
	"os/exec"
	"regexp"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// session is one command that a host is told to run.
type session struct {
	ssh.Channel
	mark    string // what an honest host says first
	program string // what it then runs
	command string // all of it
	ended   chan struct{}
}

// called takes a command of ours apart.
var called = regexp.MustCompile(`^(?:timeout \d+ )?sh -c 'echo (\S+)""(\S+); (.*)' *$`)

// noStatus: the command ends without one.
const noStatus = 1<<32 - 1

// behaviour is what a host does when it is told to run something. The status it
// returns is the command's.
type behaviour func(s *session) (status uint32)

// serve makes a host on a loopback port.
func serve(t *testing.T, behave behaviour) (port string) {
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
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			tasks.Go(func() { connection(conn, config, behave, &tasks) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		tasks.Wait()
	})
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port
}

func connection(conn net.Conn, config *ssh.ServerConfig, behave behaviour, tasks *sync.WaitGroup) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	tasks.Go(func() { ssh.DiscardRequests(requests) })
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			continue
		}
		tasks.Go(func() {
			ended := make(chan struct{})
			defer close(ended)
			for r := range requests {
				var run struct{ Command string }
				ok := r.Type == "exec" && ssh.Unmarshal(r.Payload, &run) == nil
				r.Reply(ok, nil)
				if ok {
					tasks.Go(func() { answer(channel, run.Command, behave, ended) })
				}
			}
		})
	}
}

func answer(channel ssh.Channel, command string, behave behaviour, ended chan struct{}) {
	defer channel.Close()
	s := &session{Channel: channel, command: command, ended: ended}
	if parts := called.FindStringSubmatch(command); parts != nil {
		s.mark, s.program = parts[1]+parts[2], parts[3]
	}
	status := behave(s)
	if status == noStatus {
		return
	}
	channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
}

// honest runs what it is told.
func honest(s *session) uint32 {
	cmd := exec.Command("sh", "-c", s.command)
	cmd.Stdout, cmd.Stderr = s, s.Stderr()
	in, err := cmd.StdinPipe()
	if err != nil || cmd.Start() != nil {
		return 127
	}
	go func() { // ends with the channel
		io.Copy(in, s)
		in.Close()
	}()
	var exit *exec.ExitError
	if err := cmd.Wait(); errors.As(err, &exit) {
		return uint32(exit.ExitCode())
	}
	return 0
}

// words reads past our script to the list behind it.
func (s *session) words() [][]byte {
	var length, size int
	if n := regexp.MustCompile(`head -c (\d+)`).FindStringSubmatch(s.program); n != nil {
		for _, digit := range n[1] {
			length = length*10 + int(digit-'0')
		}
	}
	io.CopyN(io.Discard, s, int64(length))
	for one := make([]byte, 1); ; size = size*10 + int(one[0]-'0') {
		if _, err := io.ReadFull(s, one); err != nil {
			return nil
		}
		if one[0] == '\n' {
			break
		}
	}
	list := make([]byte, size)
	io.ReadFull(s, list)
	return bytes.Split(list, []byte("\n"))
}
