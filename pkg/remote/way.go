package remote

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

// Jump hosts in front of a host that only the ssh program can connect to are ours all
// the same, shared with other hosts and with their keys remembered: ssh gets a connection
// through them from its ProxyCommand, which is our own program.

// wayVariable names the socket to that program, and wayWord is its argument.
const (
	wayVariable = "COLMENA_GO_WAY"
	wayWord     = "ssh-way"
)

// way is a connection through jump hosts that ssh is to have.
type way struct {
	listener net.Listener
	conn     net.Conn
	tasks    sync.WaitGroup
}

// layWay connects through the jump hosts, and returns what stands on ssh's command line
// for that, and in its environment. There is none where no jump host is ours to use.
func layWay(ctx context.Context, cfg Config, s settings, dir string) (w *way, options, env []string, err error) {
	gate, ok := s.Gate()
	if !ok {
		return nil, nil, nil, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, nil, err
	}
	conn, err := cfg.jumps.dial(ctx, cfg, gate, s)
	if only := (*needsOpenSSH)(nil); errors.As(err, &only) {
		return nil, nil, nil, nil // ssh goes there by itself
	}
	if err != nil {
		return nil, nil, nil, err
	}
	socket := filepath.Join(dir, "w")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		conn.Close()
		return nil, nil, nil, err
	}
	w = &way{listener: listener, conn: conn}
	w.tasks.Go(crash.Guarded(w.serve))
	command := strings.ReplaceAll(hostscript.Quote(self), "%", "%%") + " " + wayWord
	return w, []string{"-o", "ProxyCommand=" + command, "-o", "ProxyUseFdpass=yes"}, []string{wayVariable + "=" + socket}, nil
}

// serve carries one connection, until either side ends it.
func (w *way) serve() {
	ssh, err := w.listener.Accept()
	if err != nil {
		return
	}
	defer ssh.Close()
	w.tasks.Go(func() {
		defer crash.Guard()
		io.Copy(w.conn, ssh)
		w.conn.Close()
	})
	io.Copy(ssh, w.conn)
}

// close ends the way, which may be nil, and waits for that.
func (w *way) close() {
	if w == nil {
		return
	}
	w.listener.Close()
	w.conn.Close()
	w.tasks.Wait()
}

// PassWay hands ssh the connection that it is to use, where the program was started for
// that, and returns the status to end with.
func PassWay(args []string) (status int, passes bool) {
	socket := os.Getenv(wayVariable)
	if socket == "" || len(args) != 2 || args[1] != wayWord {
		return 0, false
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return 1, true
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return 1, true
	}
	failed := raw.Control(func(fd uintptr) { err = syscall.Sendmsg(1, []byte{0}, syscall.UnixRights(int(fd)), nil, 0) })
	if failed != nil || err != nil {
		return 1, true
	}
	return 0, true
}
