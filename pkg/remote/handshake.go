package remote

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/colmena-go/colmena-go/pkg/sshauth"
)

func clientConfig(s settings, shown *sshauth.Login, keys *hostKeys, offered algorithms) *ssh.ClientConfig {
	config := &ssh.ClientConfig{
		User:              s.User,
		HostKeyCallback:   keys.check,
		HostKeyAlgorithms: keys.algorithms(offered.hostKeys),
	}
	config.RekeyThreshold = uint64(max(s.RekeyBytes, 0))
	config.AuthCallback = shown.Callback(func() []byte { return keys.accepted })
	config.Ciphers, config.MACs, config.KeyExchanges = offered.ciphers, offered.macs, offered.kex
	return config
}

// agentLimit is how long an agent may take to list its keys.
var agentLimit = 10 * time.Second

// past is a deadline that ends reading and writing at once.
var past = time.Unix(1, 0)

// handshakeGrace is added to the time to connect once the host has shown its key, to
// authenticate: agents may wait for a touch or a confirmation.
var handshakeGrace = 30 * time.Second

// handshake has deadlines of its own: a server or an agent that accepts and then says
// nothing would hold us for ever. The key exchange has until limit.
func handshake(ctx context.Context, conn net.Conn, address string, config *ssh.ClientConfig, shown *sshauth.Login, limit time.Duration) (*ssh.Client, error) {
	noticed := &noticedConn{Conn: conn}
	var mu sync.Mutex
	deadline := func(t time.Time) {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil {
			t = past
		}
		conn.SetDeadline(t)
		shown.AgentDeadline(t)
	}
	shown.Begin(sshauth.Link{Lost: noticed.lost, Deadline: func(wait bool) {
		if wait { // each question has a limit of its own
			deadline(time.Time{})
		} else {
			deadline(time.Now().Add(limit + handshakeGrace))
		}
	}})
	deadline(time.Now().Add(limit))
	stop := context.AfterFunc(ctx, func() { deadline(past) })
	c, channels, requests, err := ssh.NewClientConn(noticed, address, thenLonger(config, shown))
	if !stop() && err == nil {
		c.Close()
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	return ssh.NewClient(c, channels, requests), nil
}

// thenLonger gives more time once the host has shown its key, with which a key exchange
// is nearly over. Those that follow during the connection have no deadline.
func thenLonger(config *ssh.ClientConfig, login *sshauth.Login) *ssh.ClientConfig {
	timed, seen := *config, false
	timed.HostKeyCallback = func(host string, from net.Addr, key ssh.PublicKey) error {
		if !seen {
			seen = true
			login.Deadline(true)
			defer login.Deadline(false)
		}
		return config.HostKeyCallback(host, from, key)
	}
	return &timed
}

// noticedConn remembers that the connection failed.
type noticedConn struct {
	net.Conn
	failed atomic.Pointer[error]
}

func (c *noticedConn) Read(p []byte) (int, error)  { return c.notice(c.Conn.Read(p)) }
func (c *noticedConn) Write(p []byte) (int, error) { return c.notice(c.Conn.Write(p)) }

func (c *noticedConn) notice(n int, err error) (int, error) {
	if err != nil {
		c.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}

func (c *noticedConn) lost() error {
	if err := c.failed.Load(); err != nil {
		return *err
	}
	return nil
}
