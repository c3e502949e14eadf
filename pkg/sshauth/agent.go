package sshauth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/colmena-go/colmena-go/pkg/sshconfig"
)

// agentConn leads to an agent. It has no Close, or x/crypto would read from it
// all the time and a deadline would pass though nobody waits for the agent.
type agentConn struct {
	conn   net.Conn
	silent atomic.Bool // x/crypto keeps only the text of an error
}

func (c *agentConn) Write(p []byte) (int, error) { return c.noticing(c.conn.Write(p)) }
func (c *agentConn) Read(p []byte) (int, error)  { return c.noticing(c.conn.Read(p)) }

func (c *agentConn) noticing(n int, err error) (int, error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.silent.Store(true)
	}
	return n, err
}

func (l *Login) askAgent(ctx context.Context, s sshconfig.Settings) []ssh.Signer {
	from := "IdentityAgent"
	l.socket = s.IdentityAgent
	if l.socket == "" {
		from, l.socket = "SSH_AUTH_SOCK", os.Getenv("SSH_AUTH_SOCK")
	}
	if l.socket == "" || l.socket == "none" {
		l.note("no agent")
		return nil
	}
	conn, err := (&net.Dialer{Timeout: l.AgentLimit}).DialContext(ctx, "unix", l.socket)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.note("no agent: %s names the socket %s, which does not exist", from, l.socket)
		return nil
	case errors.Is(err, syscall.ECONNREFUSED):
		l.note("no agent: %s names the socket %s, where nobody listens any more", from, l.socket)
		return nil
	case err != nil:
		l.note("the agent at %s cannot be asked: %s", l.socket, inBrief(err))
		return nil
	}
	link := &agentConn{conn: conn}
	conn.SetDeadline(time.Now().Add(l.AgentLimit))
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(past) })
	defer stop()
	signers, err := agent.NewClient(link).Signers()
	if err != nil {
		conn.Close()
		if link.silent.Load() {
			err = fmt.Errorf("it does not answer within %s: restart it, or set IdentityAgent to none in ssh_config", l.AgentLimit)
		}
		l.note("the agent at %s: %v", l.socket, err)
		return nil
	}
	l.agent = link // signing needs it until the handshake is over
	l.note("%d keys of the agent", len(signers))
	return signers
}

// past is a deadline that ends reading and writing at once.
var past = time.Unix(1, 0)

// AgentDeadline is for what the agent is asked: to sign it may wait for a touch or a
// confirmation, and has the time of the handshake for that.
func (l *Login) AgentDeadline(t time.Time) {
	if l.agent != nil {
		l.agent.conn.SetDeadline(t)
	}
}

func (l *Login) agentSilent() bool { return l.agent != nil && l.agent.silent.Load() }

// Close ends the connection to the agent.
func (l *Login) Close() {
	if l.agent != nil {
		l.agent.conn.Close()
	}
}

// inBrief is the reason that the operating system gives, if it gives one.
func inBrief(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}
