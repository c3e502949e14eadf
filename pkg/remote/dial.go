package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/sshauth"
)

// address is where a host's sshd is said to listen.
func address(s settings) string { return net.JoinHostPort(s.HostName, strconv.Itoa(s.Port)) }

// login is the user with that address, for people.
func login(s settings) string { return s.User + "@" + address(s) }

// Waits between attempts at a host that hangs up before it has said anything, as
// sshd does at MaxStartups (sshd_config(5)): each is longer than the one before, up to
// a limit. Any is up to so much longer again, so that many who were refused together do
// not come back together.
const (
	firstBusyWait = 100 * time.Millisecond
	busyWaitLimit = time.Second
)

// attemptWait is the wait between attempts that ConnectionAttempts asks for.
var attemptWait = time.Second

// dialing is one connection on its way.
type dialing struct {
	cfg  Config
	s    settings
	with *sshauth.Login
	keys *hostKeys
	to   *ssh.ClientConfig
}

// login connects, by whatever way, and authenticates. It does so again where the
// host was only busy, or ConnectionAttempts says so.
func (d *dialing) login(ctx context.Context) (*ssh.Client, error) {
	begin, busyWait := time.Now(), firstBusyWait
	for tries, attempts := 1, 1; ; tries++ {
		client, conn, err := d.once(ctx)
		left := d.s.ConnectTimeout - time.Since(begin)
		busy := conn != nil && conn.hungUp(err)
		var wait time.Duration
		switch {
		case err == nil || ctx.Err() != nil:
			return client, err
		case busy && left > 0:
			wait = min(busyWait+rand.N(busyWait), left) // the last try is when the time is over
			busyWait = min(2*busyWait, busyWaitLimit)
		case attempts < d.s.ConnectionAttempts && errors.Is(err, ErrUnreachable):
			wait = attemptWait
			attempts++
		case busy:
			return nil, tooBusy(err, conn, tries, d.s.ConnectTimeout)
		default:
			return nil, err
		}
		d.cfg.Log.Debug().Err(err).Stringer("in", wait).Msg("connecting again")
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// tooBusy tells of a host that hung up at every try.
func tooBusy(err error, conn *listening, tries int, limit time.Duration) error {
	var no *unreached
	if !errors.As(err, &no) {
		return err
	}
	said := ""
	if line := strings.TrimSpace(string(conn.heard)); line != "" {
		said = fmt.Sprintf("; it says: %s", printable.Said(line, 160))
	}
	return &unreached{no.place, fmt.Sprintf("%s%s (%d tries within %s): too many may be logging in there at once (MaxStartups of its sshd_config)", no.why, said, tries, limit), no.cause}
}

// once is one attempt. conn is nil if it did not come to the host.
func (d *dialing) once(ctx context.Context) (*ssh.Client, *listening, error) {
	begin := time.Now()
	raw, err := d.reach(ctx)
	if err != nil {
		return nil, nil, err
	}
	limit := d.s.ConnectTimeout
	if _, network := raw.(*net.TCPConn); network { // as for ssh; a jump host has a time of its own
		limit -= time.Since(begin)
	}
	conn := &listening{Conn: raw}
	client, err := handshake(ctx, conn, address(d.s), d.to, d.with, limit)
	var missing *ssh.AlgorithmNegotiationError
	if foreign := d.keys.noCommonKey(err); foreign != nil {
		err = foreign
	} else if errors.As(err, &missing) {
		err = &needsOpenSSH{missing.What + " of a kind that we lack", &unreached{placeOf(d.cfg, d.s, ipOf(raw.RemoteAddr())), withoutGo(err), err}}
	} else if err != nil {
		err = d.said(raw, explainHandshake(ctx, err, d.s, placeOf(d.cfg, d.s, ipOf(raw.RemoteAddr())), d.with))
	}
	if errors.Is(err, ErrAuth) {
		if why := loginByOpenSSH(d.s, d.with.Refused()); why != "" {
			err = &needsOpenSSH{why, err}
		}
	}
	if err != nil {
		d.with.Forget()
	}
	return client, conn, err
}

// reach makes what is to carry SSH: a connection of the network, a channel of a
// jump host, or a program.
func (d *dialing) reach(ctx context.Context) (net.Conn, error) {
	if gate, ok := d.s.Gate(); ok {
		return d.cfg.jumps.dial(ctx, d.cfg, gate, d.s)
	}
	if d.s.ProxyCommand != "" {
		return startProgram(d.s.ProxyCommand)
	}
	dialer := &net.Dialer{Timeout: d.s.ConnectTimeout}
	var err error
	if dialer.LocalAddr, err = from(d.s); err != nil {
		return nil, err
	}
	conn, err := dialer.DialContext(ctx, d.s.Network, address(d.s))
	if err != nil {
		return nil, notReached(ctx, err, d.cfg, d.s)
	}
	return conn, nil
}

// said adds what a program said on the way, which knows why there is no connection.
func (d *dialing) said(conn net.Conn, err error) error {
	if p, ok := conn.(*program); ok && errors.Is(err, ErrUnreachable) {
		return &unreached{placeOf(d.cfg, d.s, ""), p.why(), err}
	}
	return err
}

// from is the address of this machine to connect from, nil for any.
func from(s settings) (net.Addr, error) {
	wrong := func(option, value, why string) error {
		return fmt.Errorf("ssh_config or deployment.sshOptions sets %s to %q, %s", option, value, why)
	}
	switch {
	case s.BindAddress != "":
		a, err := net.ResolveTCPAddr(s.Network, net.JoinHostPort(s.BindAddress, "0"))
		if err != nil {
			return nil, wrong("bindaddress", s.BindAddress, "which is not an address of this machine")
		}
		return a, nil
	case s.BindInterface == "":
		return nil, nil
	}
	card, err := net.InterfaceByName(s.BindInterface)
	if err != nil {
		return nil, wrong("bindinterface", s.BindInterface, "which this machine does not have")
	}
	addresses, err := card.Addrs()
	if err != nil {
		return nil, wrong("bindinterface", s.BindInterface, "whose addresses cannot be told")
	}
	for _, a := range addresses {
		// As ssh does, which takes none of the link's own, those with a zone.
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLinkLocalUnicast() && ofNetwork(ip.IP, s.Network) {
			return &net.TCPAddr{IP: ip.IP}, nil
		}
	}
	return nil, wrong("bindinterface", s.BindInterface, "which has no fitting address")
}

func ofNetwork(ip net.IP, network string) bool {
	return network == "tcp" || (ip.To4() != nil) == (network == "tcp4")
}

// listening notices whether what is at the other end has begun to speak SSH.
type listening struct {
	net.Conn
	heard []byte // before that, bounded
	begun bool
}

func (c *listening) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.begun {
		c.heard = append(c.heard, p[:n]...)
		c.begun = bytes.HasPrefix(c.heard, []byte("SSH-")) || bytes.Contains(c.heard, []byte("\nSSH-")) || len(c.heard) > 10_000
		if c.begun {
			c.heard = nil
		}
	}
	return n, err
}

// hungUp reports whether it ended before it spoke SSH; it must be closed.
func (c *listening) hungUp(err error) bool {
	if p, ok := c.Conn.(*program); ok && p.err != nil {
		return false
	}
	return !c.begun && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET))
}
