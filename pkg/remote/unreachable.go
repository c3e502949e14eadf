package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"

	"github.com/colmena-go/colmena-go/pkg/escalation"
	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/sshauth"
)

// ofHost is an error with the words in it that belong to one host alone: with
// others in their place it may be the error of many hosts.
type ofHost struct {
	error
	own []string
}

func (e *ofHost) Unwrap() error { return e.error }

// Own returns the addresses and logins that the text may hold.
func (e *ofHost) Own() []string { return e.own }

// ownWords are how a host is called in errors, longer ones first.
func ownWords(cfg Config, s settings, err error) []string {
	ip := dialled(err)
	return []string{login(s), placeOf(cfg, s, ip), address(s), placeAsked(cfg, s), s.HostName, cfg.Host, ip}
}

// unreached is a host that no connection could be made to.
type unreached struct {
	place string // see placeOf
	why   string
	cause error
}

func (e *unreached) Error() string   { return fmt.Sprintf("cannot reach %s: %s", e.place, e.why) }
func (e *unreached) Unwrap() []error { return []error{ErrUnreachable, e.cause} }

// placeOf is the host as it was asked for, with the address in parentheses where
// that is another.
func placeOf(cfg Config, s settings, address string) string {
	place := placeAsked(cfg, s)
	if address == "" {
		address = s.HostName
	}
	if address != bare(cfg.Host) {
		place += " (" + address + ")"
	}
	return place
}

// placeAsked is the host as it was asked for, and the port.
func placeAsked(cfg Config, s settings) string {
	return net.JoinHostPort(bare(cfg.Host), strconv.Itoa(s.Port))
}

// bare is an address without the brackets in which some write those of IPv6.
func bare(host string) string {
	if inner, opened := strings.CutPrefix(host, "["); opened {
		return strings.TrimSuffix(inner, "]")
	}
	return host
}

// notReached explains an error of the dialer without what only Go says.
func notReached(ctx context.Context, err error, cfg Config, s settings) error {
	e := &unreached{placeOf(cfg, s, dialled(err)), withoutGo(err), err}
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case ctx.Err() != nil:
		e.cause = context.Cause(ctx)
		e.why = e.cause.Error()
	case errors.As(err, &dns) && dns.IsNotFound:
		e.why = "no such host: set deployment.targetHost, or HostName in ssh_config"
	case errors.As(err, &dns) && dns.IsTimeout:
		e.why = "the name server does not answer in time"
	case errors.As(err, &dns):
		e.why = "its name cannot be looked up: " + strings.TrimSpace(dns.Err[strings.LastIndex(dns.Err, ": ")+1:])
	case errors.As(err, &timeout) && timeout.Timeout():
		e.why = fmt.Sprintf("timed out after %s", s.ConnectTimeout)
	}
	return e
}

// withoutGo is the reason that the operating system gives, if it gives one.
func withoutGo(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return printable.Said(err.Error(), 300) // the text may be the host's, of any length
}

// explainHandshake says why the host at a place, see placeOf, gives us no connection.
func explainHandshake(ctx context.Context, err error, s settings, place string, with *sshauth.Login) error {
	var network net.Error
	var refused refusal
	switch {
	case errors.As(err, &refused):
		return refused.error
	case ctx.Err() != nil: // whose end silences the agent and the server
		return &unreached{place, err.Error(), err}
	}
	if why := with.Explain(err); why != nil {
		return why
	}
	switch {
	case errors.As(err, &network) && network.Timeout():
		return &unreached{place, "it accepts connections but does not speak SSH in time", err}
	case errors.Is(err, io.EOF):
		return &unreached{place, "it accepts the connection and closes it", err}
	}
	return &unreached{place, withoutGo(err), err}
}

// Vain reports whether an error of [Dial] is one that further attempts do not mend, and
// that may lock an account with them: see [sshauth.Vain]; of passwords for root as well.
func Vain(err error) bool { return sshauth.Vain(err) || errors.Is(err, escalation.ErrRefused) }

// dialled is the IP that was dialled, "" if it did not come to that.
func dialled(err error) string {
	var op *net.OpError
	if !errors.As(err, &op) {
		return ""
	}
	return ipOf(op.Addr)
}

func ipOf(address net.Addr) string {
	if tcp, ok := address.(*net.TCPAddr); ok && tcp.IP != nil {
		return (&net.IPAddr{IP: tcp.IP, Zone: tcp.Zone}).String()
	}
	return ""
}
