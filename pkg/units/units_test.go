package units

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
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/tests/hostdouble"
)

// The host's half runs with the real sh; what stands in for systemctl has a file for each
// unit, beside what it becomes when something is done with it. tests/hosts has real ones.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const systemctl = `#!/bin/sh
[ "$1 $2" = "--no-pager --no-ask-password" ] || exit 9
call=$3
until [ "$1" = -- ]; do shift; done
shift
status=0
case $call in
  show) for unit; do cat "$UNITS/$unit" 2>/dev/null || printf 'Id=%s\nLoadState=not-found\nActiveState=inactive\n' "$unit"; echo; done ;;
  status) echo "how $1 is"; exit 3 ;;
  *)
    echo "$call $*" >>"$UNITS/calls"
    for unit; do
      [ ! -e "$UNITS/$unit.hangs" ] || exec sleep 60
      [ ! -e "$UNITS/$unit.then" ] || mv "$UNITS/$unit.then" "$UNITS/$unit"
      [ ! -e "$UNITS/$unit.says" ] || { cat "$UNITS/$unit.says" >&2; status=1; }
    done
    ;;
esac
exit $status
`

type host struct {
	t   *testing.T
	dir string
	env []string
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, dir: t.TempDir()}
	h.write("bin/systemctl", systemctl)
	h.env = append(os.Environ(), "PATH="+h.dir+"/bin:"+os.Getenv("PATH"), "UNITS="+h.dir)
	before := settled
	settled = time.Millisecond
	t.Cleanup(func() { settled = before })
	return h
}

func (h *host) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o700)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// unit has the host have a unit, which a call makes into another.
func (h *host) unit(name, now, then string) {
	h.write(name, "Id="+name+"\nLoadState=loaded\n"+strings.ReplaceAll(now, " ", "\n")+"\n")
	if then != "" {
		h.write(name+".then", "Id="+name+"\nLoadState=loaded\n"+strings.ReplaceAll(then, " ", "\n")+"\n")
	}
}

func (h *host) calls() string {
	text, _ := os.ReadFile(filepath.Join(h.dir, "calls")) // there is none where nothing was called
	return strings.TrimSpace(string(text))
}

func (h *host) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Env, cmd.WaitDelay = h.env, time.Second
	return hostdouble.Run(ctx, cmd, hostdouble.Streams{In: stdin, Out: stdout, Err: stderr, HangUp: true})
}

func outcomes(results []plan.UnitResult) string {
	var list []string
	for _, r := range results {
		list = append(list, fmt.Sprintf("%s %s: %s %s", r.What(), r.Unit, r.Outcome, r.Note))
	}
	return strings.Join(list, "\n")
}

const (
	on      = "ActiveState=active SubState=running Result=success ReloadResult=success InvocationID="
	stopped = "ActiveState=inactive SubState=dead Result=success InvocationID="
)

func restart(names ...string) (jobs plan.Jobs) {
	for _, name := range names {
		jobs = append(jobs, plan.Job{Unit: name})
	}
	return jobs
}

func TestAllUnitsAreRestartedInOneCallAndReloadedInAnother(t *testing.T) {
	h := newHost(t)
	h.unit("a.service", on+"1", on+"2")
	h.unit(`b\x2dc@d.socket`, on+"1", on+"2")
	h.unit("idle.service", stopped+"1", "")
	h.unit("fresh.service", on+"7", "")
	h.unit("r.service", on+"1", on+"1")
	var said []string
	results, err := Run(t.Context(), h, Request{
		Jobs:  append(restart("a.service", `b\x2dc@d.socket`, "idle.service", "fresh.service"), plan.Job{Unit: "r.service", Reload: true}),
		Since: map[string]string{"a.service": "1", "fresh.service": "6"},
		Begin: func(text string) { said = append(said, text) },
	})
	const want = `restart a.service: done 
restart b\x2dc@d.socket: done 
restart idle.service: left it does not run (inactive)
restart fresh.service: left it was started since, and so has the new key
reload r.service: done `
	if got := outcomes(results); err != nil || got != want {
		t.Errorf("%v:\n%s", err, got)
	}
	if got := h.calls(); got != "try-restart a.service b\\x2dc@d.socket\ntry-reload-or-restart r.service" {
		t.Errorf("the calls are %s", got)
	}
	if !slices.Equal(said, []string{`restarting a.service, b\x2dc@d.socket; reloading r.service`}) {
		t.Errorf("it says %q", said)
	}
}

func TestWhereNothingIsDueNothingIsCalled(t *testing.T) {
	h := newHost(t)
	h.unit("idle.service", stopped+"1", "")
	results, err := Run(t.Context(), h, Request{Jobs: restart("idle.service"), Begin: func(text string) { t.Error(text) }})
	if err != nil || h.calls() != "" || results[0].Outcome != plan.JobLeft {
		t.Errorf("%v, %s, %s", err, h.calls(), outcomes(results))
	}
}

func TestWhatFailsIsNamedAndExplained(t *testing.T) {
	h := newHost(t)
	h.unit("good.service", on+"1", on+"2")
	h.unit("bad.service", on+"1", "ActiveState=failed Result=exit-code InvocationID=2")
	h.write("bad.service.says", "Job for bad.service failed because the control process exited with error code.\n")
	h.unit("refused.service", on+"1", "")
	h.write("refused.service.says", "Failed to try-restart refused.service: Operation refused\x1b[2J, unit refused.service may be requested by dependency only.\n")
	var said []string
	results, err := Run(t.Context(), h, Request{
		Jobs: restart("good.service", "bad.service", "refused.service", "typo.service"), Output: func(line string) { said = append(said, line) },
	})
	const want = `restart good.service: done 
restart bad.service: failed it failed (exit-code)
restart refused.service: failed Failed to try-restart refused.service: Operation refused[2J, unit refused.service may be requested by dependency only.
restart typo.service: failed there is no such unit on the host`
	if got := outcomes(results); err != nil || got != want {
		t.Errorf("%v:\n%s", err, got)
	}
	if got := strings.Join(said, "|"); got != "how bad.service is|how refused.service is" {
		t.Errorf("it says %s", got)
	}
}

func TestARestartThatHangsIsLeftInTheEnd(t *testing.T) {
	before := limit
	limit = time.Second
	defer func() { limit = before }()
	h := newHost(t)
	h.unit("hangs.service", on+"1 Job=7", "")
	h.write("hangs.service.hangs", "")
	begin := time.Now()
	results, err := Run(t.Context(), h, Request{Jobs: restart("hangs.service")})
	if got := outcomes(results); err != nil || got != "restart hangs.service: failed it takes too long, and goes on without us" || time.Since(begin) > 20*time.Second {
		t.Errorf("%v after %v: %s", err, time.Since(begin), got)
	}
}

// A host is no friend.
func TestAHostThatSaysNonsenseFailsByItself(t *testing.T) {
	for name, says := range map[string]string{
		"nothing":        "",
		"another unit's": `echo Id=other.service; echo; echo Id=third.service`,
		"a lot":          "head -c 30000000 /dev/zero",
		"a failure":      "echo Failed to connect to bus >&2; exit 1",
		"an escape":      `printf 'Id=a.service\nActiveState=failed\033[2J\n'; printf 'Id=a.service\n\n'; echo Id=b.service`,
	} {
		h := newHost(t)
		h.write("bin/systemctl", "#!/bin/sh\n"+says+"\n")
		results, err := Run(t.Context(), h, Request{Jobs: restart("a.service")})
		if err == nil || results != nil || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %v, %s", name, err, outcomes(results))
		}
	}
}

// speaks is a host that does not run our script, or not to its end.
type speaks struct {
	*host
	program string
}

func (s speaks) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	before, _, _ := strings.Cut(command, "eval ")
	return s.host.Run(ctx, before+s.program+`'`, stdin, stdout, stderr)
}

func TestAHostThatDoesNotKeepToTheProtocolIsGivenUp(t *testing.T) {
	for _, program := range []string{
		"read -r proof; echo ${proof#echo }; echo -1; exec sleep 2", "read -r proof; echo ${proof#echo }; echo 99999999; exec sleep 2",
		"read -r proof; echo ${proof#echo }; echo 3; echo abcdef; exec sleep 2", "read -r proof; echo ${proof#echo }; exit 3",
		"read -r proof; echo ${proof#echo }; head -c 100000 /dev/zero; exec sleep 2",
	} {
		begin := time.Now()
		if _, err := Run(t.Context(), speaks{newHost(t), program}, Request{Jobs: restart("a.service")}); err == nil || time.Since(begin) > 15*time.Second {
			t.Errorf("%s: %v after %v", program, err, time.Since(begin))
		}
	}
}

func TestTheEndOfPatienceIsTold(t *testing.T) {
	h := newHost(t)
	h.unit("hangs.service", on+"1", "")
	h.write("hangs.service.hangs", "")
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(500*time.Millisecond, func() { cancel(why) })
	if _, err := Run(ctx, h, Request{Jobs: restart("hangs.service")}); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

func TestRunsAreTakenFromWhatSystemctlSays(t *testing.T) {
	const text = "Id=a.service\nInvocationID=11\n\nId=alias.service\nInvocationID=\n\nId=none.service\n"
	got := Runs(text, []string{"a.service", "b.service", "none.service"})
	if len(got) != 3 || got["a.service"] != "11" || got["b.service"] != "" {
		t.Errorf("%q", got)
	}
	if got := Runs(text, []string{"a.service"}); got != nil {
		t.Errorf("of other units: %q", got)
	}
}

var _ hostscript.Runner = (*host)(nil)
