package child

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
)

// RunRead is [Run] of a program all of whose output matters: cmd.Stdout and cmd.Stderr,
// which must differ, get whatever the program itself has written, however long they
// take. What it leaves running may hold its pipes open, and is not waited for. An error of a
// Write closes that pipe, and is returned where the program does not fail.
func RunRead(cmd *exec.Cmd, last syscall.Signal, started func(pid int)) error {
	var pipes []*pipe
	ours := func() { // the program has its own
		for _, p := range pipes {
			p.in.Close()
		}
	}
	for _, output := range []*io.Writer{&cmd.Stdout, &cmd.Stderr} {
		if _, file := (*output).(*os.File); file || *output == nil {
			continue
		}
		p, err := newPipe(*output)
		if err != nil {
			ours()
			return errors.Join(err, ended(pipes))
		}
		*output, pipes = p.in, append(pipes, p)
	}
	err := Run(cmd, last, func(pid int) {
		ours()
		if started != nil {
			started(pid)
		}
	})
	ours()
	if unread := ended(pipes); err == nil {
		err = unread
	}
	return err
}

// pipe leads from a program to a writer.
type pipe struct {
	in, out *os.File
	to      io.Writer
	err     chan error // the one end of the reading
}

func newPipe(to io.Writer) (*pipe, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p := &pipe{in: in, out: out, to: to, err: make(chan error, 1)}
	go crash.Guarded(func() {
		err := p.read()
		p.out.Close()
		p.err <- err
	})()
	return p, nil
}

// read reads until the other end is closed, or, once the program has ended, what it
// left in the pipe: who else writes there could go on for ever.
func (p *pipe) read() error {
	_, err := io.Copy(p.to, p.out)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	if err := p.out.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	buffer := make([]byte, pipeSize)
	for rest := pipeSize; rest > 0; {
		n, err := p.have(buffer[:rest])
		if n <= 0 {
			return err
		}
		if _, err := p.to.Write(buffer[:n]); err != nil {
			return err
		}
		rest -= n
	}
	return nil
}

// pipeSize is how many bytes a pipe holds at most, where nobody asked for more.
var pipeSize = max(64<<10, 16*os.Getpagesize()) // pipe(7)

// have reads what is in the pipe now: nothing if it is empty.
func (p *pipe) have(buffer []byte) (n int, err error) {
	raw, err := p.out.SyscallConn()
	if err != nil {
		return 0, err
	}
	outer := raw.Read(func(fd uintptr) bool {
		for n, err = syscall.Read(int(fd), buffer); errors.Is(err, syscall.EINTR); {
			n, err = syscall.Read(int(fd), buffer)
		}
		return true // rather than wait
	})
	if errors.Is(err, syscall.EAGAIN) {
		return 0, nil
	}
	return n, errors.Join(outer, err)
}

// ended reads what is left in pipes of a program that has ended, and closes them.
func ended(pipes []*pipe) (err error) {
	for _, p := range pipes {
		p.out.SetReadDeadline(time.Unix(1, 0))
	}
	for _, p := range pipes {
		if own := <-p.err; err == nil {
			err = own
		}
	}
	return err
}
