package remote

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/colmena-go/colmena-go/pkg/printable"
)

// What an ssh that is a master (ControlMaster of ssh_config(5)) takes on its socket:
// PROTOCOL.mux of OpenSSH. Each of our connections to it carries one session.

const (
	muxHello         = 0x00000001
	muxNewSession    = 0x10000002
	muxDenied        = 0x80000002
	muxFailure       = 0x80000003
	muxExit          = 0x80000004
	muxSessionOpened = 0x80000006

	muxVersion  = 4
	noEscape    = 0xffffffff
	muxMaxBytes = 256 << 10 // of a message
)

// muxLimit is how long a master may take to say hello.
const muxLimit = 10 * time.Second

// muxLink is a connection to a master's socket.
type muxLink struct{ conn *net.UnixConn }

// dialMux connects, and says and hears which version is spoken.
func dialMux(socket string) (*muxLink, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return nil, err
	}
	m := &muxLink{conn}
	conn.SetDeadline(time.Now().Add(muxLimit))
	err = m.send(muxHello, uint32(muxVersion))
	if err == nil {
		var kind uint32
		var rest muxMessage
		if kind, rest, err = m.receive(); err == nil && (kind != muxHello || rest.number() != muxVersion) {
			err = errors.New("the ssh program speaks another version of its protocol")
		}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	return m, nil
}

// send sends a message of numbers and texts.
func (m *muxLink) send(kind uint32, parts ...any) error {
	message := binary.BigEndian.AppendUint32(make([]byte, 4), kind)
	for _, part := range parts {
		switch part := part.(type) {
		case uint32:
			message = binary.BigEndian.AppendUint32(message, part)
		case string:
			message = binary.BigEndian.AppendUint32(message, uint32(len(part)))
			message = append(message, part...)
		}
	}
	binary.BigEndian.PutUint32(message, uint32(len(message)-4))
	_, err := m.conn.Write(message)
	return err
}

// receive waits for a message.
func (m *muxLink) receive() (kind uint32, rest muxMessage, err error) {
	var size [4]byte
	if _, err := io.ReadFull(m.conn, size[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < 4 || n > muxMaxBytes {
		return 0, nil, fmt.Errorf("the ssh program sends a message of %d bytes", n)
	}
	rest = make([]byte, n)
	_, err = io.ReadFull(m.conn, rest)
	return rest.number(), rest, err
}

// give hands a file over.
func (m *muxLink) give(file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Control(func(fd uintptr) {
		_, _, sent = m.conn.WriteMsgUnix([]byte{0}, syscall.UnixRights(int(fd)), nil)
	})
	return errors.Join(err, sent)
}

// open asks for a session for a command, whose input and output are the files. It
// returns once the host has opened it, and fails with [errRefused] where it does not.
func (m *muxLink) open(command string, with forwarding, files ...*os.File) error {
	const id, no, yes = uint32(1), uint32(0), uint32(1)
	agent := no
	if with.agent != "" {
		agent = yes
	}
	words := []any{id, "", no, no, agent, no, uint32(noEscape), "", command}
	for _, variable := range with.environment {
		words = append(words, variable)
	}
	err := m.send(muxNewSession, words...)
	for _, file := range files {
		if err == nil {
			err = m.give(file)
		}
	}
	if err != nil {
		return err
	}
	kind, rest, err := m.receive()
	switch {
	case err != nil:
		return err
	case kind == muxSessionOpened:
		return nil
	case kind == muxFailure || kind == muxDenied:
		rest.number()
		return fmt.Errorf("%w (%s)", errRefused, printable.Said(rest.text(), 200))
	}
	return fmt.Errorf("the ssh program answers with %#x", kind)
}

// wait waits for the end of the session, and returns the status of its command;
// without one the link just ended.
func (m *muxLink) wait() (status int, err error) {
	for {
		kind, rest, err := m.receive()
		if err != nil {
			return 0, err
		}
		if kind == muxExit {
			rest.number() // the session
			return int(rest.number()), nil
		}
	}
}

func (m *muxLink) close() error { return m.conn.Close() }

// muxMessage is what is left of a message; what it lacks is zero.
type muxMessage []byte

func (m *muxMessage) number() uint32 {
	if len(*m) < 4 {
		return 0
	}
	n := binary.BigEndian.Uint32(*m)
	*m = (*m)[4:]
	return n
}

func (m *muxMessage) text() string {
	n := min(int(m.number()), len(*m))
	text := string((*m)[:n])
	*m = (*m)[n:]
	return text
}
