package keysource

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func silent(string) {}

func text(s string) hive.Key {
	content := secret.New([]byte(s))
	return hive.Key{Attr: "k", Text: &content}
}

func command(argv ...string) hive.Key { return hive.Key{Attr: "k", Command: argv} }

func TestContentComesFromItsSourceAsItIs(t *testing.T) {
	dir := t.TempDir()
	binary := "\x00\xff\nno newline at the end"
	file := filepath.Join(dir, "a file")
	if err := errors.Join(os.WriteFile(file, []byte(binary), 0o600), os.Symlink(file, filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key  hive.Key
		want string
	}{
		"text":                           {text("a\nb"), "a\nb"},
		"file":                           {hive.Key{Attr: "k", File: file}, binary},
		"link to a file":                 {hive.Key{Attr: "k", File: filepath.Join(dir, "link")}, binary},
		"command":                        {command("printf", `\000\377`), "\x00\xff"},
		"no shell reads arguments":       {command("echo", "$(id)", "a  b", ";"), "$(id) a  b ;\n"},
		"it runs in the caller's folder": {command("pwd"), here + "\n"},
		"its input is empty":             {command("cat"), ""},
		"stderr is no content":           {command("sh", "-c", "echo noise >&2; echo ok"), "ok\n"},
		"a megabyte":                     {command("head", "-c", "1000000", "/dev/zero"), strings.Repeat("\x00", 1000000)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := new(Resolver).Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{c.key}}, silent)
			if err != nil || string(got["k"].Reveal()) != c.want {
				t.Errorf("%v: %d bytes, want %d", err, got["k"].Len(), len(c.want))
			}
		})
	}
}

func TestWithoutContentThereIsAnErrorThatNamesTheKey(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key  hive.Key
		says string
	}{
		"missing file":                 {hive.Key{Attr: "k", File: dir + "/none"}, "no such file"},
		"directory":                    {hive.Key{Attr: "k", File: dir}, "only a regular file"},
		"pipe":                         {hive.Key{Attr: "k", File: pipe}, "only a regular file"},
		"device":                       {hive.Key{Attr: "k", File: "/dev/zero"}, "only a regular file"},
		"missing program":              {command("no-such-program-here", "s3cret-argument"), "no-such-program-here"},
		"failure":                      {command("sh", "-c", "echo token expired >&2; exit 3", "s3cret-argument"), "token expired"},
		"failure after half":           {command("sh", "-c", "echo s3cret-half; exit 1"), "exit status 1"},
		"content on stderr":            {command("sh", "-c", "echo s3cret-both; echo oops: s3cret-both >&2; exit 1"), "is not shown"},
		"value on stderr":              {command("sh", "-c", "echo PASSWORD=s3cret; echo weak: s3cret >&2; exit 1"), "is not shown"},
		"a question that nobody hears": {command("sh", "-c", "echo Enter passphrase: >&2; exit 1"), "has no terminal"},
		"value of JSON":                {command("sh", "-c", `echo '{"p":"s3cret"}'; echo "weak s3cret" >&2; exit 1`), "is not shown"},
		"a line cut off":               {command("sh", "-c", `v=s3cret-$(head -c 17000 /dev/zero | tr '\\0' x); echo "$v"; echo "$v" >&2; echo bad >&2; exit 1`), "bad"},
		"killed":                       {command("sh", "-c", "kill -9 $$"), "killed"},
		"too slow":                     {command("sleep", "60"), "took too long"},
		"a child holds the pipe":       {command("sh", "-c", "sleep 5 & echo s3cret"), "left behind"},
		"more than fits":               {command("head", "-c", "70000000", "/dev/zero"), "too large"},
		"no source at all":             {hive.Key{Attr: "k"}, "no source"},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			r := &Resolver{Timeout: 20 * time.Second}
			if name == "too slow" {
				r.Timeout = time.Second
			}
			got, err := r.Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{text("fine"), c.key}}, silent)
			if got != nil || err == nil {
				t.Fatalf("%v, %v; want an error and no content", got, err)
			}
			for _, word := range []string{`"k"`, `"web"`, c.says} {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not say %q", err, word)
				}
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%q shows a secret", err)
			}
			if time.Since(begin) > 15*time.Second {
				t.Error("it took", time.Since(begin))
			}
		})
	}
}

func TestEveryKeyWithoutContentIsNamed(t *testing.T) {
	a, b := command("false"), hive.Key{Attr: "other", File: "/no/such/file"}
	_, err := new(Resolver).Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{a, b}}, silent)
	if err == nil || !strings.Contains(err.Error(), `"k"`) || !strings.Contains(err.Error(), `"other"`) {
		t.Errorf("error %v, want both keys named", err)
	}
}

func TestAnEmptyContentIsWorthAWarning(t *testing.T) {
	var warned string
	r := &Resolver{}
	if _, err := r.Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{command("true")}}, func(text string) { warned = text }); err != nil || !strings.Contains(warned, `"k"`) {
		t.Errorf("%v, warning %q", err, warned)
	}
}

func TestCommandsAreBoundedAndEndWithTheContext(t *testing.T) {
	marks := t.TempDir()
	r := &Resolver{Limit: 2}
	script := `mkdir "$1/$2"; ls "$1" | wc -l; sleep 0.2; rmdir "$1/$2"`
	var keys []hive.Key
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		key := command("sh", "-c", script, "sh", marks, name)
		key.Attr = name
		keys = append(keys, key)
	}
	got, err := r.Resolve(t.Context(), hive.Node{Name: "web", Keys: keys}, silent)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range got {
		if n := strings.TrimSpace(string(content.Reveal())); n != "1" && n != "2" {
			t.Errorf("%s saw %s commands at once, want at most 2", name, n)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := r.Resolve(ctx, hive.Node{Name: "web", Keys: []hive.Key{command("sleep", "60")}}, silent); err == nil || time.Since(begin) > 3*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

func TestWhatACommandStartedEndsWithIt(t *testing.T) {
	started := filepath.Join(t.TempDir(), "pid")
	r := &Resolver{Timeout: 500 * time.Millisecond}
	_, err := r.Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{command("sh", "-c", `sleep 60 & echo $! >"$1"; wait`, "sh", started)}}, silent)
	if !errors.Is(err, ErrTimeout) {
		t.Fatalf("error %v, want ErrTimeout", err)
	}
	text, err := os.ReadFile(started)
	if err != nil {
		t.Fatal(err)
	}
	stat := "/proc/" + strings.TrimSpace(string(text)) + "/stat"
	for range 100 {
		state, err := os.ReadFile(stat)
		if err != nil || strings.Contains(string(state), ") Z ") { // gone, or dead and not yet reaped by init
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the command's own child still runs")
}

// With several commands at once none could be talked to; waiting in the
// background for an answer that cannot come would last until the timeout.
func TestACommandThatAsksForAPassphraseFailsAtOnce(t *testing.T) {
	begin := time.Now()
	_, err := new(Resolver).Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{command("sh", "-c", "read -r answer </dev/tty")}}, silent)
	if !errors.Is(err, ErrCommand) || time.Since(begin) > 10*time.Second {
		t.Errorf("%v after %v, want ErrCommand at once", err, time.Since(begin))
	}
}

func TestTheLimitHoldsForAllNodesTogether(t *testing.T) {
	marks := t.TempDir()
	r := &Resolver{Limit: 2}
	var all sync.WaitGroup
	for _, node := range []string{"a", "b", "c", "d", "e", "f"} {
		all.Go(func() {
			got, err := r.Resolve(t.Context(), hive.Node{Name: node, Keys: []hive.Key{
				command("sh", "-c", `mkdir "$1/$2"; ls "$1" | wc -l; sleep 0.2; rmdir "$1/$2"`, "sh", marks, node),
			}}, silent)
			if n := strings.TrimSpace(string(got["k"].Reveal())); err != nil || n != "1" && n != "2" {
				t.Errorf("%s: %v, %q commands at once, want at most 2", node, err, n)
			}
		})
	}
	all.Wait()
}
