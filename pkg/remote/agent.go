package remote

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
)

// agentLimit is how long an agent may take to list its keys. To sign it may wait
// for a touch or a confirmation: it has the time of the handshake for that.
var agentLimit = 10 * time.Second

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

func (ids *identities) askAgent(ctx context.Context, s settings) []ssh.Signer {
	from := "IdentityAgent"
	ids.socket = s.IdentityAgent
	if ids.socket == "" {
		from, ids.socket = "SSH_AUTH_SOCK", os.Getenv("SSH_AUTH_SOCK")
	}
	if ids.socket == "" || ids.socket == "none" {
		ids.note("no agent")
		return nil
	}
	conn, err := (&net.Dialer{Timeout: agentLimit}).DialContext(ctx, "unix", ids.socket)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		ids.note("no agent: %s names the socket %s, which does not exist", from, ids.socket)
		return nil
	case errors.Is(err, syscall.ECONNREFUSED):
		ids.note("no agent: %s names the socket %s, where nobody listens any more", from, ids.socket)
		return nil
	case err != nil:
		ids.note("the agent at %s cannot be asked: %s", ids.socket, withoutGo(err))
		return nil
	}
	link := &agentConn{conn: conn}
	conn.SetDeadline(time.Now().Add(agentLimit))
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(past) })
	defer stop()
	signers, err := agent.NewClient(link).Signers()
	if err != nil {
		conn.Close()
		if link.silent.Load() {
			err = fmt.Errorf("it does not answer within %s: restart it, or set IdentityAgent to none in ssh_config", agentLimit)
		}
		ids.note("the agent at %s: %v", ids.socket, err)
		return nil
	}
	ids.agent = link // signing needs it until the handshake is over
	ids.note("%d keys of the agent", len(signers))
	return signers
}

// past is a deadline that ends reading and writing at once.
var past = time.Unix(1, 0)

func (ids *identities) agentDeadline(t time.Time) {
	if ids.agent != nil {
		ids.agent.conn.SetDeadline(t)
	}
}

func (ids *identities) agentSilent() bool { return ids.agent != nil && ids.agent.silent.Load() }

func (ids *identities) close() {
	if ids.agent != nil {
		ids.agent.conn.Close()
	}
}
