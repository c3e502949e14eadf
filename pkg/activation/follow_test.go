//go:build linux

package activation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

var errCut = errors.New("the connection was cut")

// cut is a host whose connection ends behind so many bytes of stdout, 0 for never.
type cut struct {
	local
	after int
}

func (c cut) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	if c.after == 0 {
		return c.local.Run(ctx, command, stdin, stdout, stderr)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	left := c.after
	return c.local.Run(ctx, command, stdin, writerFunc(func(p []byte) (int, error) {
		passed := p[:min(left, len(p))]
		left -= len(passed)
		if _, err := stdout.Write(passed); err != nil {
			return 0, err
		}
		if left == 0 {
			cancel(errCut)
			return 0, errCut
		}
		return len(p), nil
	}), stderr)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Wherever the connection is cut, and however often: no line is lost, none comes
// twice, and the outcome is the host's.
func TestAnActivationIsFollowedOverAnotherConnection(t *testing.T) {
	needHost(t)
	const lines = 120
	top := system(t, fmt.Sprintf(`
i=0
while [ $i -lt %d ]; do
  i=$((i + 1))
  case $i in
    7) printf 'unfinished'; sleep 0.1; printf ' line\n' ;;
    9) printf 'a\rb\rc\r\n' ;;
    *) echo "line $i" ;;
  esac
  case $i in *0) sleep 0.02 ;; esac
done
exit 4
`, lines))
	var want []string
	for i := 1; i <= lines; i++ {
		switch i {
		case 7:
			want = append(want, "unfinished line")
		case 9:
			want = append(want, "a", "b", "c")
		default:
			want = append(want, fmt.Sprint("line ", i))
		}
	}
	bash, _ := exec.LookPath("bash")
	for n, pieces := range [][]int{{101}, {90, 70, 65}, {128}, {140}, {141, 60}, {142}, {150, 80, 80, 80}, {300}, {400, 300}, {900}, {1100, 60}} {
		t.Run(fmt.Sprint(pieces), func(t *testing.T) {
			if n%2 == 1 {
				dir := t.TempDir()
				os.Symlink(bash, filepath.Join(dir, "sh"))
				t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
			}
			var got []string
			hooks := Hooks{Output: func(l string) { got = append(got, l) }}
			o, err := Run(t.Context(), cut{after: pieces[0]}, Request{Goal: hive.Test, Toplevel: top}, hooks)
			for _, after := range append(pieces[1:], 0) {
				var d *Detached
				if !errors.As(err, &d) {
					break
				}
				if !errors.Is(err, errCut) {
					t.Fatal(err)
				}
				o, err = Follow(t.Context(), cut{after: after}, d, hooks)
			}
			switch {
			case errors.Is(err, ErrNotBegun) && len(got) == 0: // cut before anything began
				return
			case err != nil || o.Exit != 4 || o.Current != top:
				t.Errorf("%+v, %v", o, err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("told %q", got)
			}
			if left := activations(t); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestAnActivationThatEndedMeanwhileIsToldAll(t *testing.T) {
	needHost(t)
	var got []string
	hooks := Hooks{Output: func(l string) { got = append(got, l) }}
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := Run(ctx, local{}, Request{Goal: hive.Test, Toplevel: interruptible(t)}, Hooks{Output: func(l string) { got = append(got, l); cancel(errCut) }})
	var d *Detached
	if !errors.As(err, &d) {
		t.Fatal(err)
	}
	goOn(t)
	eventually(t, "the end of the switch", func() bool { return exists("/run/finished") })
	o, err := Follow(t.Context(), local{}, d, hooks)
	if err != nil || o.Exit != 4 || !slices.Equal(got, []string{"begun", "over"}) {
		t.Errorf("%+v, %v: %q", o, err, got)
	}
	// Now it is over, and forgotten.
	if _, err = Follow(t.Context(), local{}, d, hooks); !errors.Is(err, ErrForgotten) || errors.Is(err, ErrGoesOn) || !strings.Contains(err.Error(), "the new system is active") {
		t.Errorf("%v", err)
	}
}

// sshd hears late of a cut cable: until then the first follower is there as well, and
// whatever it says is lost.
func TestAFollowerThatNobodyHearsIsNoHindrance(t *testing.T) {
	needHost(t)
	ctx, cancel := context.WithCancel(t.Context())
	begun, ended := make(chan struct{}), make(chan error, 1)
	req := Request{Goal: hive.Test, Toplevel: interruptible(t)}
	first := newFollower("0123456789abcdef", "0123456789abcde0", req, Hooks{})
	go func() {
		heard := ""
		ended <- local{}.Run(ctx, "sh -c '"+hostscript.Eval(hostScript)+"'",
			io.MultiReader(bytes.NewReader(hostScript), bytes.NewReader(first.list()), never{ctx}),
			writerFunc(func(p []byte) (int, error) {
				if heard += string(p); strings.Contains(heard, "begun\n") && !strings.Contains(heard[:len(heard)-len(p)], "begun\n") {
					close(begun)
				}
				return len(p), nil
			}), nil)
	}()
	<-begun
	time.AfterFunc(300*time.Millisecond, func() { os.WriteFile("/run/go-on", nil, 0o600) })
	first.detached = true
	o, err := Follow(t.Context(), local{}, &Detached{left: first}, Hooks{})
	if err != nil || o.Exit != 4 {
		t.Errorf("%+v, %v", o, err)
	}
	cancel()
	<-ended
	if left := activations(t); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// never ends before ctx does.
type never struct{ ctx context.Context }

func (n never) Read([]byte) (int, error) {
	<-n.ctx.Done()
	return 0, io.EOF
}
