package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/colmena-go/colmena-go/pkg/child"
	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/scratch"
	"github.com/colmena-go/colmena-go/pkg/sshauth"
)

// needsOpenSSH is a host that only the ssh program can connect to.
type needsOpenSSH struct {
	why   string // an option, or what is in it
	cause error  // how our own client failed; nil if it did not try
}

func (e *needsOpenSSH) Error() string {
	if e.cause != nil {
		return e.cause.Error()
	}
	return fmt.Sprintf("%s is supported only through the ssh program", e.why)
}

func (e *needsOpenSSH) Unwrap() error { return e.cause }

// loginByOpenSSH is what ssh may let us in with where the host refused all that we
// can do; "" if there is nothing.
func loginByOpenSSH(s settings, wanted []string) string {
	securityKey := func(path string) bool {
		key := sshauth.PublicKey(path + ".pub")
		return key != nil && strings.HasPrefix(key.Type(), "sk-")
	}
	switch {
	case s.GSSAPI && slices.Contains(wanted, "gssapi-with-mic"):
		return "GSSAPIAuthentication"
	case s.HostBased && slices.Contains(wanted, "hostbased"):
		return "HostbasedAuthentication"
	case slices.Contains(wanted, "publickey") && slices.ContainsFunc(s.IdentityFiles, securityKey):
		return "an IdentityFile on a security key"
	}
	return ""
}

// connectWithOpenSSH makes the connection that our own client cannot make.
func connectWithOpenSSH(ctx context.Context, cfg Config, s settings, only *needsOpenSSH) (Conn, error) {
	cfg.Log.Debug().Str("for", only.why).Msg("connecting with the ssh program")
	m, err := startMaster(ctx, cfg, s)
	if err == nil {
		return m, nil
	}
	if only.cause != nil && errors.Is(err, ErrAuth) && !Vain(err) {
		return nil, only.cause
	}
	return nil, err
}

// master is an ssh that holds a connection, over which it opens sessions for us.
type master struct {
	socket string // in a folder that nobody else can enter
	mark   child.Mark
	end    context.CancelFunc
	done   chan struct{} // closed when it has ended
	said   *tail

	recorded []byte // the keys of new hosts; once it has ended

	forwarding
	way    *way               // through jump hosts; nil: none, or ssh's own
	asks   *sshauth.Questions // nil where nobody can be asked
	asking atomic.Int32       // questions that are open
}

// maxSocketPath is what fits into sockaddr_un with its final NUL (unix(7)).
const maxSocketPath = 107

// masterGrace is how long it may take to end.
const masterGrace = 2 * time.Second

// startMaster has the ssh program connect. It asks through us, as a terminal has one
// owner, and never accepts a key that is not the known one.
func startMaster(ctx context.Context, cfg Config, s settings) (*master, error) {
	dir, remove, err := scratch.Dir()
	if err != nil {
		return nil, err
	}
	m := &master{socket: filepath.Join(dir, "m"), mark: child.NewMark(), done: make(chan struct{}), said: &tail{}, forwarding: cfg.forwarding(s)}
	if len(m.socket)+len(".0123456789abcdef") > maxSocketPath { // ssh makes it under such a name
		remove()
		return nil, fmt.Errorf("the path of the socket %s is too long: set TMPDIR to a shorter one", m.socket)
	}
	// It lives as long as the connection, and not as the ctx that asked for it.
	life, end := context.WithCancel(context.Background())
	m.end = end
	answers, env, err := m.answerTo(cfg, s)
	if err != nil {
		end()
		remove()
		return nil, err
	}
	defer answers()
	args, more, err := m.call(ctx, cfg, s)
	if err != nil {
		end()
		m.way.close()
		remove()
		return nil, err
	}
	cmd := exec.CommandContext(life, "ssh", args...)
	cmd.Stderr, cmd.Env = m.said, slices.Concat(os.Environ(), env, more)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // ^C is not for it, and the terminal is ours
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = masterGrace
	m.mark.Put(cmd)
	go func() {
		defer crash.Guard()
		defer close(m.done)
		defer remove()
		defer end()
		child.Run(cmd, syscall.SIGTERM, nil)
		m.mark.Kill() // what ProxyCommand and such began
		m.way.close()
		m.recorded, _ = os.ReadFile(m.knownHosts())
	}()
	if err := m.await(ctx, s.ConnectTimeout+handshakeGrace); err != nil {
		m.Close()
		m.learn(ctx, cfg, s, m.recorded)
		return nil, m.failed(err)
	}
	if err := m.connected(ctx, cfg, s); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// connected keeps what was learnt and told on the way.
func (m *master) connected(ctx context.Context, cfg Config, s settings) error {
	if m.asks != nil {
		m.asks.Connected()
	}
	recorded, err := os.ReadFile(m.knownHosts())
	if err != nil {
		return err
	}
	return m.learn(ctx, cfg, s, recorded)
}

// call prepares how ssh is called.
func (m *master) call(ctx context.Context, cfg Config, s settings) (args, env []string, err error) {
	var way []string
	if m.way, way, env, err = layWay(ctx, cfg, s, filepath.Dir(m.socket)); err != nil {
		return nil, nil, err
	}
	file, err := m.files(cfg, s)
	if err != nil {
		return nil, nil, err
	}
	args, err = m.arguments(ctx, cfg, s, file)
	return append(way, args...), env, err
}

// files writes what ssh reads, and returns what to read in the place of ssh_config, if
// anything.
func (m *master) files(cfg Config, s settings) (config string, err error) {
	if s.ProxyJump != "" && m.way == nil {
		if config, err = m.forJumps(cfg, filepath.Dir(m.socket)); err != nil {
			return "", err
		}
	}
	return config, m.remind(cfg, s)
}

// arguments are ssh's, of which the first to settle something wins.
func (m *master) arguments(ctx context.Context, cfg Config, s settings, file string) ([]string, error) {
	check, batch := "accept-new", "BatchMode=yes" // as our own client does
	if m.asks != nil {
		batch = "BatchMode=no"
		written, err := wroteAsk(ctx, cfg.query(), s)
		if err != nil {
			return nil, err
		}
		if written {
			check = "ask"
		}
	}
	if s.Strict || check != "ask" && awaitsCertificate(s) {
		check = "yes"
	}
	args := []string{"-M", "-N", "-T"}
	for _, option := range []string{
		"ControlPath=" + strings.ReplaceAll(m.socket, "%", "%%"), "ControlPersist=no", batch, "StrictHostKeyChecking=" + check, "LogLevel=INFO",
		"UserKnownHostsFile=" + m.userKnownHosts(s), "HashKnownHosts=no",
		fmt.Sprintf("ServerAliveInterval=%d", int(s.AliveInterval.Seconds())), fmt.Sprintf("ServerAliveCountMax=%d", s.AliveCount),
		fmt.Sprintf("ConnectTimeout=%d", int(s.ConnectTimeout.Seconds())),
		"ClearAllForwardings=yes", "ForwardX11=no", "PermitLocalCommand=no", "RemoteCommand=none", "ForkAfterAuthentication=no", "UpdateHostKeys=no", "VisualHostKey=no",
	} {
		args = append(args, "-o", option)
	}
	if len(s.SetEnv) > 0 && !cfg.Commands { // the first holds, and it cannot be empty
		args = append(args, "-o", "SetEnv=COLMENA_GO_DEPLOYS=yes")
	}
	command := cfg.query().Reading(file).Command()
	if m.way != nil {
		command = cfg.query().Direct()
	}
	return append(append(args, command...), "--", s.Asked), nil
}

// forJumps makes a file for the ssh that reach jump hosts: they ask what this one may.
func (m *master) forJumps(cfg Config, dir string) (file string, err error) {
	lines := []string{"StrictHostKeyChecking accept-new"}
	if m.asks == nil {
		lines = append(lines, "BatchMode yes")
	}
	text, err := cfg.query().Defaulting(lines...)
	if err != nil {
		return "", err
	}
	file = filepath.Join(dir, "config")
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// await waits until sessions can be opened.
func (m *master) await(ctx context.Context, limit time.Duration) error {
	left := limit // of which the time of people is no part
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		if link, err := dialMux(m.socket); err == nil {
			return link.close()
		}
		select {
		case <-m.done:
			return m.failure()
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
		if m.asking.Load() == 0 {
			left -= wait
		}
		if left <= 0 {
			return fmt.Errorf("%w: ssh does not connect within %s%s", ErrUnreachable, limit, m.said.after(": "))
		}
	}
}

// failure is why ssh has ended, which it says on standard error.
func (m *master) failure() error {
	said := m.said.String()
	kind := ErrUnreachable
	switch {
	case strings.Contains(said, "Host key verification failed") || strings.Contains(said, "HOST IDENTIFICATION HAS CHANGED") || strings.Contains(said, "REVOKED HOST KEY") ||
		strings.Contains(said, "host key check failure"): // of a jump host, for StrictHostKeyChecking no
		kind = ErrHostKey
	case strings.Contains(said, "Permission denied") || strings.Contains(said, "Too many authentication failures"):
		kind = ErrAuth
	}
	lines := slices.DeleteFunc(m.inOurTerms(said), func(line string) bool {
		return strings.Trim(line, "@ \r") == "" || strings.HasPrefix(line, "Warning: Permanently added")
	})
	return fmt.Errorf("%w: ssh says: %s", kind, printable.Said(strings.Join(lines, "; "), 600))
}

// Probe has the host run a command, as ssh has no question of its own for it.
func (m *master) Probe() error {
	session, err := m.Session("true")
	if err != nil {
		return err
	}
	defer session.Close()
	stdin, err := session.Start(io.Discard, io.Discard)
	if err != nil {
		return err
	}
	stdin.Close()
	return session.Wait()
}

func (m *master) Wait() { <-m.done }

// Close ends ssh and what it began, and waits for that.
func (m *master) Close() error {
	m.end()
	<-m.done
	return nil
}

// Session implements [Conn]. The command begins here, with files in between that
// hold its output until Start.
func (m *master) Session(command string) (_ Session, err error) {
	s := &muxSession{master: m}
	var theirs []*os.File
	defer func() {
		for _, file := range theirs {
			file.Close()
		}
		if err != nil {
			s.Close()
		}
	}()
	for i, ours := range []**os.File{&s.stdin, &s.stdout, &s.stderr} {
		read, write, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		if *ours = read; i == 0 {
			read, write, *ours = write, read, write
		}
		theirs = append(theirs, write)
	}
	if s.link, err = dialMux(m.socket); err != nil {
		return nil, ErrConnectionLost
	}
	if err = s.link.open(command, m.forwarding, theirs...); err != nil && !errors.Is(err, errRefused) {
		err = fmt.Errorf("%w: %s", ErrConnectionLost, withoutGo(err))
	}
	return s, err
}

// muxSession is a session of a master.
type muxSession struct {
	master                *master
	link                  *muxLink
	stdin, stdout, stderr *os.File // our ends
	reading               sync.WaitGroup
	close                 sync.Once
}

func (s *muxSession) Start(stdout, stderr io.Writer) (io.WriteCloser, error) {
	for _, stream := range []struct {
		to   io.Writer
		from io.Reader
	}{{stdout, s.stdout}, {stderr, s.stderr}} {
		s.reading.Go(func() {
			defer crash.Guard()
			io.Copy(stream.to, stream.from)
		})
	}
	return s.stdin, nil
}

func (s *muxSession) Wait() error {
	status, err := s.link.wait()
	if err != nil { // no status: a signal ended it, or the connection
		s.reading.Wait()
		if link, err := dialMux(s.master.socket); err == nil {
			link.close()
			return &ExitError{Status: 255, Signal: unknownSignal}
		}
		return ErrConnectionLost
	}
	s.reading.Wait()
	if status != 0 {
		return &ExitError{Status: status}
	}
	return nil
}

// unknownSignal stands for the name of a signal, which ssh does not tell.
const unknownSignal = "(which one is not known)"

// Close has ssh close the session.
func (s *muxSession) Close() error {
	s.close.Do(func() {
		if s.link != nil {
			s.link.close()
		}
		for _, file := range []*os.File{s.stdin, s.stdout, s.stderr} {
			if file != nil {
				file.Close()
			}
		}
	})
	return nil
}
