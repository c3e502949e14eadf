package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/colmena-go/colmena-go/pkg/child"
	"github.com/colmena-go/colmena-go/pkg/crash"
)

// program is a ProxyCommand, whose standard input and output lead to a host. It is
// run as ssh does, by the user's shell, and ends with the connection.
type program struct {
	in, out *os.File // its input and output
	stderr  *tail
	mark    child.Mark
	kill    context.CancelFunc
	done    chan struct{} // closed when it has ended
	err     error         // how
	close   sync.Once
}

// programGrace is how long a program may take to end once its input has.
var programGrace = 500 * time.Millisecond

func startProgram(command string) (*program, error) {
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		theirIn.Close()
		in.Close()
		return nil, err
	}
	ctx, kill := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, cmp.Or(os.Getenv("SHELL"), "/bin/sh"), "-c", "exec "+command)
	p := &program{in: in, out: out, stderr: &tail{}, mark: child.NewMark(), kill: kill, done: make(chan struct{})}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirIn, theirOut, p.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // ^C is not for it, and the terminal is ours
	cmd.WaitDelay = programGrace                         // what it began may hold its stderr open
	p.mark.Put(cmd)
	go func() {
		defer crash.Guard()
		defer close(p.done)
		defer theirOut.Close()
		defer theirIn.Close()
		p.err = child.Run(cmd, syscall.SIGKILL, func(int) { theirIn.Close(); theirOut.Close() })
	}()
	return p, nil
}

func (p *program) Read(b []byte) (int, error)  { return p.out.Read(b) }
func (p *program) Write(b []byte) (int, error) { return p.in.Write(b) }

// Close ends the program and all that it began.
func (p *program) Close() error {
	p.close.Do(func() {
		p.in.Close()
		p.out.Close()
		select {
		case <-p.done:
		case <-time.After(programGrace):
		}
		p.kill()
		p.mark.Kill() // what it began
		<-p.done
	})
	return nil
}

// why says why the program led nowhere; it must be closed.
func (p *program) why() string {
	how := "ended"
	var exit *exec.ExitError
	switch {
	case errors.As(p.err, &exit) && exit.ExitCode() > 0:
		how = fmt.Sprintf("ended with status %d", exit.ExitCode())
	case errors.As(p.err, &exit):
		how = "did not get there in time"
	case p.err != nil && !errors.Is(p.err, exec.ErrWaitDelay):
		how = "cannot be run: " + withoutGo(p.err)
	}
	return "its ProxyCommand " + how + p.stderr.after(": ")
}

func (p *program) LocalAddr() net.Addr  { return noAddress }
func (p *program) RemoteAddr() net.Addr { return noAddress }

// noAddress is the address of what has none.
var noAddress = &net.TCPAddr{}

func (p *program) SetDeadline(t time.Time) error {
	return errors.Join(p.in.SetDeadline(t), p.out.SetDeadline(t))
}
func (p *program) SetReadDeadline(t time.Time) error  { return p.out.SetDeadline(t) }
func (p *program) SetWriteDeadline(t time.Time) error { return p.in.SetDeadline(t) }

var _ net.Conn = (*program)(nil)

// untilLate gives a connection that has none a deadline. It can be set until it
// has passed, which closes the connection.
type untilLate struct {
	net.Conn
	mu    sync.Mutex
	timer *time.Timer
	late  bool
}

func (c *untilLate) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	c.timer = nil
	if !t.IsZero() {
		c.timer = time.AfterFunc(time.Until(t), func() {
			defer crash.Guard()
			c.mu.Lock()
			c.late = true
			c.mu.Unlock()
			c.Conn.Close()
		})
	}
	return nil
}

func (c *untilLate) Read(p []byte) (int, error)  { return c.timed(c.Conn.Read(p)) }
func (c *untilLate) Write(p []byte) (int, error) { return c.timed(c.Conn.Write(p)) }

func (c *untilLate) timed(n int, err error) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && c.late {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

func (c *untilLate) Close() error {
	c.SetDeadline(time.Time{})
	return c.Conn.Close()
}
