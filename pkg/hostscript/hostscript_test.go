package hostscript

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// script prints each word of its list between brackets, and what follows it.
const script = `{
read -r size || exit 1
[ "$size" != 0 ] || { echo none; exit; }
IFS='
'
set -f
set -- $(head -c "$size")
[ $# = "$1" ] || exit 1
printf '[%s]' "$@"
cat
exit
}
`

func TestAScriptReadsItsListAndTheDataBehindIt(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  string
	}{
		{nil, "none\n"},
		{[]string{"one"}, "[3][one][.]data"},
		{[]string{"a b", "*", "$(exit 7)", "ключ", `"`}, `[7][a b][*][$(exit 7)][ключ]["][.]data`},
	} {
		for _, limit := range []time.Duration{0, time.Minute} {
			cmd := exec.Command("sh", "-c", Command([]byte(script), limit))
			cmd.Stdin = bytes.NewReader(bytes.Join([][]byte{[]byte(script), List(c.words...), []byte("data")}, nil))
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != c.want {
				t.Errorf("%q: %q, %v; want %q", c.words, out, err, c.want)
			}
		}
	}
}

func TestAScriptOrListCutShortRunsNothing(t *testing.T) {
	whole := append([]byte(script), List("one", "two")...)
	for n := range whole {
		cmd := exec.Command("sh", "-c", Command([]byte(script), 0))
		cmd.Stdin = bytes.NewReader(whole[:n])
		if out, err := cmd.Output(); (err == nil && n > 0) || len(out) > 0 {
			t.Errorf("cut after byte %d: %q, %v", n, out, err)
		}
	}
}

func TestTheLimitEndsAScript(t *testing.T) {
	sleeps := []byte("{\nsleep 30\nexit\n}\n")
	cmd := exec.Command("sh", "-c", Command(sleeps, time.Second))
	cmd.Stdin = bytes.NewReader(sleeps)
	begin := time.Now()
	if err := cmd.Run(); err == nil || time.Since(begin) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

func TestALimitIsNeverRoundedToNone(t *testing.T) {
	for limit, want := range map[time.Duration]string{
		time.Nanosecond: "timeout 1 sh", time.Second: "timeout 1 sh", 1001 * time.Millisecond: "timeout 2 sh",
		2 * time.Minute: "timeout 120 sh", 0: "sh",
	} {
		if got := Command([]byte("x"), limit); !strings.HasPrefix(got, want+" -c ") {
			t.Errorf("%v: %s, want %s", limit, got, want)
		}
	}
}

func TestIDsDiffer(t *testing.T) {
	if a, b := ID(), ID(); a == b || len(a) != 16 {
		t.Errorf("%s, %s", a, b)
	}
}
