// Package remote keeps one SSH connection per host and runs everything over it.
// Settings come from OpenSSH's own configuration (see package sshconfig).
package remote

import (
	"cmp"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/melbahja/goph"
	"github.com/rs/zerolog"
	"golang.org/x/crypto/ssh/agent"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/escalation"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/secret"
	"github.com/colmena-go/colmena-go/pkg/sshauth"
	"github.com/colmena-go/colmena-go/pkg/sshconfig"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrUnreachable: no connection to the host could be made in time.
	ErrUnreachable = errors.New("cannot reach the host")
	// ErrHostKey: the host's key is not one we may trust.
	ErrHostKey = errors.New("host key refused")
	// ErrAuth and ErrAgent are those of package sshauth.
	ErrAuth, ErrAgent = sshauth.ErrAuth, sshauth.ErrAgent
	// ErrEscalation: the host does not make our user root without asking.
	ErrEscalation = errors.New("cannot become root on the host")
	// ErrConnectionLost: the connection ended or fell silent while in use.
	ErrConnectionLost = errors.New("the connection was lost")
)

// Config says which host to connect to.
type Config struct {
	Host          string
	Port          int                   // 0: ssh_config or 22
	User          string                // "": ssh_config or the local user
	Node          string                // as people know the host; "": Host
	Escalate      []string              // put before every command when the user is not root; nil: root is not needed
	Passwords     *escalation.Passwords // for what Escalate asks; nil: it must not ask
	Credentials   *sshauth.Credentials  // what people tell and do to let us in; nil: nobody is asked
	SSHOptions    []string              // further options of ssh's command line, see sshconfig.Arguments
	SSHConfigFile string                // as for ssh -F; "" for OpenSSH's usual files
	Note          func(string)
	Learnt        func(fingerprint, file string)  // is told of the host's key where it was recorded; nil: Note is
	Waits         func(what string) (over func()) // is told what is waited for, beside the host; nil: nobody is
	// Commands has what runs get the agent and the variables that ssh_config forwards
	// (ForwardAgent, SendEnv, SetEnv): it is the user's own.
	Commands bool
	Log      zerolog.Logger

	jumps *jumps   // nil: those of this connection alone
	met   *met     // the hosts of this run; nil: nobody is remembered
	way   []string // of a jump host: the targets of those that are reached through it, and its own
}

// settings are those of a host.
type settings = sshconfig.Settings

// known is what people know the host as.
func (cfg Config) known() string { return cmp.Or(cfg.Node, cfg.Host) }

// query asks for the settings.
func (cfg Config) query() sshconfig.Query {
	return sshconfig.Query{Host: cfg.Host, Port: cfg.Port, User: cfg.User, Options: cfg.SSHOptions, File: cfg.SSHConfigFile}
}

// Host is an open connection. Its methods may be used from many goroutines.
type Host struct {
	conn      Conn
	node      string // as people know it
	login     string // user@address
	program   escalation.Program
	needsRoot bool           // the user is not root, which commands are to be
	terminal  bool           // the program wants one (requiretty of sudoers)
	password  *secret.Secret // nil: the program asks for none
	passwords *escalation.Passwords
	channels  chan struct{} // sshd opens only so many at once
	sessions  sessions
	shell     atomic.Pointer[hostscript.Shell] // that is kept for the next script; nil: none
	cfg       *Config                          // for another connection; nil: there is none
	log       zerolog.Logger

	ended  chan struct{} // closed when the connection is gone
	close  sync.Once
	forget func() // called when it is closed; may be nil
	jumps  *jumps // that are this connection's alone, or nil
	tasks  sync.WaitGroup
}

// maxChannels is below sshd's default MaxSessions of 10 (sshd_config(5)).
const maxChannels = 8

// Dial connects, authenticates and sees that commands can be run as root. It
// fails with [ErrUnreachable], [ErrHostKey], [ErrAuth], [ErrAgent] or
// [ErrEscalation], or with what is wrong in ssh_config. It does so in bounded
// time, and honours ctx throughout.
func Dial(ctx context.Context, cfg Config) (*Host, error) {
	if cfg.met == nil {
		cfg.met = &met{}
	}
	h, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	h.cfg = &cfg
	return h.ready(ctx)
}

// ready sees that commands can be run as root, and closes the connection if not.
func (h *Host) ready(ctx context.Context) (*Host, error) {
	if err := h.tryEscalation(ctx); err != nil {
		h.Close()
		return nil, &ofHost{err, []string{h.login}}
	}
	return h, nil
}

// connect connects and authenticates; nothing is run on the host. A host that has not
// the patience to wait for people (LoginGraceTime of sshd_config) is connected to again,
// with what they have told.
func connect(ctx context.Context, cfg Config) (h *Host, err error) {
	for range patience {
		var waited bool
		h, err = connectOnce(ctx, cfg, &waited)
		if err == nil || !waited || !errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
			break
		}
	}
	return h, err
}

// patience is how often a host is connected to that does not wait for people.
const patience = 3

func connectOnce(ctx context.Context, cfg Config, waited *bool) (h *Host, err error) {
	if cfg.Note == nil {
		cfg.Note = func(string) {}
	}
	if cfg.Waits == nil {
		cfg.Waits = func(string) func() { return func() {} }
	}
	s, err := cfg.query().Settings(ctx)
	if err != nil {
		return nil, err
	}
	cfg.noteAll(s)
	defer func() {
		if err != nil {
			err = &ofHost{err, ownWords(cfg, s, err)}
		}
	}()
	h = &Host{
		login:    login(s),
		channels: make(chan struct{}, maxChannels),
		log:      cfg.Log,
		ended:    make(chan struct{}),
	}
	if cfg.jumps == nil {
		h.jumps = &jumps{}
		cfg.jumps = h.jumps
		defer func() {
			if err != nil {
				cfg.jumps.close()
			}
		}()
	}
	h.conn, err = connectNatively(ctx, cfg, s, waited)
	// A jump host of that kind has the host behind it reached so.
	if only := (*needsOpenSSH)(nil); errors.As(err, &only) && len(cfg.way) == 0 {
		h.conn, err = connectWithOpenSSH(ctx, cfg, s, only)
	}
	if err != nil {
		return nil, err
	}
	h.tasks.Go(crash.Guarded(func() { h.conn.Wait(); close(h.ended) }))
	if _, ours := h.conn.(native); ours { // ssh sees to it by itself
		h.tasks.Go(crash.Guarded(func() { h.keepAlive(s.AliveInterval, s.AliveCount) }))
	}
	if s.User != "root" {
		h.program, h.needsRoot = escalation.Of(cfg.Escalate).By(s.User), cfg.Escalate != nil
		h.passwords, h.node = cfg.Passwords, cfg.known()
	}
	return h, nil
}

// noteAll notes what people should know of the settings.
func (cfg Config) noteAll(s settings) {
	for _, warning := range s.Warnings {
		cfg.Note("ssh: " + warning)
	}
}

// noteOnce notes what is worth saying once in a run.
func (cfg Config) noteOnce(texts []string) {
	for _, text := range texts {
		if cfg.jumps.first(text) {
			cfg.Note("ssh: " + text)
		}
	}
}

// connectNatively connects with our own client. It fails with a [needsOpenSSH] where
// that cannot do what ssh_config wants. waited is whether the host had to wait for
// people.
func connectNatively(ctx context.Context, cfg Config, s settings, waited *bool) (Conn, error) {
	if len(s.OnlyOpenSSH) > 0 {
		return nil, &needsOpenSSH{why: s.OnlyOpenSSH[0]}
	}
	offered, err := choose(s, cfg.Log)
	if err != nil {
		return nil, err
	}
	keys, err := newHostKeys(ctx, s, cfg)
	if err != nil {
		return nil, err
	}
	if keys.onSecurityKeys() {
		return nil, &needsOpenSSH{why: "a host key on a security key"}
	}
	who := sshauth.Who{Node: cfg.known(), Account: login(s), Credentials: cfg.Credentials, Say: cfg.Note, Waits: cfg.Waits, AgentLimit: agentLimit}
	shown, err := sshauth.Gather(ctx, who, s)
	defer func() { *waited = shown.Waited(); shown.Close() }()
	cfg.noteOnce(shown.Warnings())
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	keys.query, keys.asker, keys.met, keys.target = cfg.query(), shown, cfg.met, cfg.target()
	cfg.Log.Debug().Str("address", address(s)).Str("user", s.User).Strs("identities", shown.Tried()).Msg("connecting")
	d := &dialing{cfg, s, shown, keys, clientConfig(s, shown, keys, offered)}
	client, err := d.login(ctx)
	if err != nil {
		return nil, err
	}
	shown.Accepted()
	conn := native{&goph.Client{Client: client}, cfg.forwarding(s)}
	if conn.agent != "" {
		if err := agent.ForwardToRemote(client, conn.agent); err != nil {
			client.Close()
			return nil, err
		}
	}
	return conn, nil
}

// keepAlive ends the connection when the host stops answering.
func (h *Host) keepAlive(interval time.Duration, count int) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	answers := make(chan error, 1)
	waiting := 0
	for {
		select {
		case <-h.ended:
			return
		case <-answers:
			waiting = 0
		case <-tick.C:
			if waiting >= count {
				h.log.Debug().Msg("the host no longer answers")
				h.conn.Close()
				return
			}
			if waiting++; waiting == 1 {
				h.tasks.Go(func() {
					defer crash.Guard()
					answers <- h.conn.Probe()
				})
			}
		}
	}
}

// Ended is closed when the connection is gone, however that came.
func (h *Host) Ended() <-chan struct{} { return h.ended }

// Close ends the connection and everything that runs over it.
func (h *Host) Close() error {
	var err error
	h.close.Do(func() {
		err = h.conn.Close()
		h.tasks.Wait()
		if shell := h.TakeShell(); shell != nil {
			<-shell.Ended()
		}
		if h.jumps != nil {
			h.jumps.close()
		}
		if h.forget != nil {
			h.forget()
		}
	})
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
