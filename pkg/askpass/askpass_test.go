package askpass

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/colmena-go/colmena-go/pkg/secret"
)

func TestMain(m *testing.M) {
	if status, asks := Main(os.Args); asks { // as in cli.Main
		os.Exit(status)
	}
	goleak.VerifyTestMain(m)
}

// asked starts what ssh starts to ask; it returns what that prints and ends with.
func asked(t *testing.T, s *Server, kind Kind, question string) (said string, status int) {
	t.Helper()
	env, err := s.Env()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(strings.TrimPrefix(env[0], "SSH_ASKPASS="), question)
	cmd.Env = append(env, "SSH_ASKPASS_PROMPT="+string(kind))
	out, err := cmd.Output()
	if ended := (*exec.ExitError)(nil); err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func listen(t *testing.T, answer Answer) *Server {
	t.Helper()
	s, err := Listen(t.TempDir(), answer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestAnAnswerIsPrintedAndNoAnswerIsAFailure(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		err    error
		want   string
		status int
	}{
		"an answer":        {"hunter 2", nil, "hunter 2\n", 0},
		"an empty answer":  {"", nil, "\n", 0},
		"nobody to answer": {"half", errors.New("nobody"), "", 1},
	} {
		var heard string
		content := []byte(c.answer)
		s := listen(t, func(_ context.Context, kind Kind, text string) (secret.Secret, error) {
			heard = string(kind) + "|" + text
			return secret.New(content), c.err
		})
		said, status := asked(t, s, Confirm, "really?\nyes or no")
		if s.Close(); said != c.want || status != c.status || heard != "confirm|really?\nyes or no" {
			t.Errorf("%s: %q with %d, asked %q", name, said, status, heard)
		}
		if c.err == nil && strings.Trim(string(content), "\x00") != "" {
			t.Errorf("%s: %q is still in memory", name, content)
		}
	}
}

func TestALongQuestionIsCutAndOneBeyondAllBoundsIsNotHeard(t *testing.T) {
	length := -1
	s := listen(t, func(_ context.Context, _ Kind, text string) (secret.Secret, error) {
		length = len(text)
		return secret.New([]byte("x")), nil
	})
	if said, _ := asked(t, s, Text, strings.Repeat("q", 2*maxQuestion)); said != "x\n" || length != maxQuestion-1 {
		t.Errorf("%q to a question of %d bytes", said, length)
	}
	length = -1
	conn, err := net.Dial("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(append(binary.BigEndian.AppendUint32(nil, maxQuestion+1), make([]byte, maxQuestion+1)...))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("it is answered")
	}
	if s.Close(); length >= 0 {
		t.Errorf("%d bytes were heard", length)
	}
}

// ssh ends what asks when nothing is waited for any more, and the server when all is over.
func TestAQuestionEndsWithWhoAsksAndWithTheServer(t *testing.T) {
	for _, ends := range []string{"who asks", "the server"} {
		begun, ended := make(chan struct{}), make(chan struct{})
		s := listen(t, func(ctx context.Context, _ Kind, _ string) (secret.Secret, error) {
			close(begun)
			<-ctx.Done()
			close(ended)
			return secret.Secret{}, ctx.Err()
		})
		conn, err := net.Dial("unix", s.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.Write([]byte{0, 0, 0, 6, 'n', 'o', 'n', 'e', '\n', 'k'})
		<-begun
		if ends == "who asks" {
			conn.Close()
		} else {
			go s.Close()
		}
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Fatalf("%s ends, and the question goes on", ends)
		}
	}
}
