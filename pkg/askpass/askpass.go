// Package askpass has a program that asks through SSH_ASKPASS (ssh(1)) ask us: it starts
// our own program, which hands the question to a socket of the process that listens there,
// and prints the answer. Neither is in an argument or a variable.
package askpass

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// socketVariable names the socket to the program that is started to ask.
const socketVariable = "COLMENA_GO_ASKPASS"

// Kind is what ssh wants of who is asked (SSH_ASKPASS_PROMPT).
type Kind string

// Kinds of questions.
const (
	Text    Kind = ""        // an answer
	Confirm Kind = "confirm" // a yes or no; any answer is a yes
	Tell    Kind = "none"    // nothing: it is told that something is waited for
)

// maxQuestion is how long a question may be, in bytes.
const maxQuestion = 8 << 10

// Answer answers one question. Of [Tell] it returns once the context is done, which is
// when nothing is waited for any more.
type Answer func(ctx context.Context, kind Kind, text string) (secret.Secret, error)

// Server answers questions until it is closed.
type Server struct {
	listener net.Listener
	socket   string
	answer   Answer
	end      context.CancelFunc
	tasks    sync.WaitGroup
}

// Listen begins to answer, at a socket in a folder that nobody else may enter.
func Listen(dir string, answer Answer) (*Server, error) {
	s := &Server{socket: filepath.Join(dir, "a"), answer: answer}
	var err error
	if s.listener, err = net.Listen("unix", s.socket); err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.Background())
	s.end = end
	s.tasks.Go(crash.Guarded(func() { s.serve(ctx) }))
	return s, nil
}

// Env is what the program that asks must find in its environment.
func (s *Server) Env() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return []string{"SSH_ASKPASS=" + self, "SSH_ASKPASS_REQUIRE=force", socketVariable + "=" + s.socket}, nil
}

// Close ends the questions that are being asked, and waits for that.
func (s *Server) Close() {
	s.end()
	s.listener.Close()
	s.tasks.Wait()
}

func (s *Server) serve(ctx context.Context) {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.tasks.Go(func() {
			defer crash.Guard()
			defer conn.Close()
			s.one(ctx, conn)
		})
	}
}

// one answers one question. Who hangs up wants none any more.
func (s *Server) one(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var size uint32
	if err := binary.Read(conn, binary.BigEndian, &size); err != nil || size > maxQuestion {
		return
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(conn, text); err != nil {
		return
	}
	kind, question, _ := strings.Cut(string(text), "\n")
	s.tasks.Go(func() {
		defer crash.Guard()
		defer cancel()
		conn.Read(make([]byte, 1)) // it has said all
	})
	answer, err := s.answer(ctx, Kind(kind), question)
	if err != nil {
		return
	}
	defer answer.Wipe()
	conn.Write([]byte(answered))
	conn.Write(answer.Reveal())
}

// answered stands before an answer, which may be empty.
const answered = "+"

// Main asks, where the program was started to, and returns the status to end with.
func Main(args []string) (status int, asks bool) {
	socket := os.Getenv(socketVariable)
	if socket == "" || len(args) != 2 {
		return 0, false
	}
	if err := ask(socket, os.Getenv("SSH_ASKPASS_PROMPT"), args[1]); err != nil {
		return 1, true
	}
	return 0, true
}

var errNoAnswer = errors.New("there is no answer")

// ask passes a question on, and prints the answer.
func ask(socket, kind, text string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	question := []byte(kind + "\n" + text)
	question = question[:min(len(question), maxQuestion)]
	if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(question))), question...)); err != nil {
		return err
	}
	answer := make([]byte, 0, maxQuestion)
	defer func() { clear(answer[:cap(answer)]) }()
	for {
		n, err := conn.Read(answer[len(answer):cap(answer)])
		answer = answer[:len(answer)+n]
		if err != nil || len(answer) == cap(answer) {
			break
		}
	}
	if !strings.HasPrefix(string(answer[:min(1, len(answer))]), answered) {
		return errNoAnswer
	}
	if _, err := os.Stdout.Write(answer[len(answered):]); err != nil {
		return err
	}
	_, err = os.Stdout.WriteString("\n")
	return err
}
