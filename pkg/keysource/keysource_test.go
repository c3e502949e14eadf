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
		"its input is empty":             {command("sh", "-c", "cat; echo end"), "end\n"},
		"white space, as allowed":        {hive.Key{Attr: "k", Command: []string{"echo"}, AllowEmpty: true}, "\n"},
		"nothing, as allowed":            {hive.Key{Attr: "k", Command: []string{"true"}, AllowEmpty: true}, ""},
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
		"missing program":              {command("no-such-program", "s3cret-argument"), "no-such-program"},
		"failure":                      {command("sh", "-c", "echo token expired >&2; exit 3", "s3cret-argument"), "exit status 3; pass --show-key-errors to see"},
		"failure after half":           {command("sh", "-c", "echo s3cret-half; exit 1"), "exit status 1"},
		"content on stderr":            {command("sh", "-c", "echo s3cret-both; echo oops: s3cret-both >&2; exit 1"), "--show-key-errors"},
		"a piece of it on stderr":      {command("sh", "-c", "echo s3cret-token; echo oops: s3cret >&2; exit 1"), "--show-key-errors"},
		"it in base64 on stderr":       {command("sh", "-c", "echo s3cret-both; echo czNjcmV0 | base64 -d >&2; exit 1"), "--show-key-errors"},
		"only stderr":                  {command("sh", "-c", "echo s3cret >&2; exit 1"), "--show-key-errors"},
		"a question that nobody hears": {command("sh", "-c", "echo Enter passphrase for s3cret: >&2; exit 1"), "has no terminal"},
		"a question, without end":      {command("sh", "-c", "printf 'PIN of s3cret: ' >&2; sleep 60"), "has no terminal"},
		"nothing":                      {command("sh", "-c", "echo s3cret >&2"), "printed nothing; if that is meant, set allowEmpty"},
		"white space":                  {command("printf", `\n \t\n`), "printed only white space; if that is meant"},
		"a command line as one word":   {command("curl -H s3cret"), `curl …: keyCommand is a list of words`},
		"killed":                       {command("sh", "-c", "kill -9 $$"), "killed"},
		"too slow":                     {command("sleep", "60"), "took too long"},
		"a child holds the pipe":       {command("sh", "-c", "sleep 5 & echo s3cret"), "left behind"},
		"more than fits":               {command("head", "-c", "70000000", "/dev/zero"), "too large"},
		"no source at all":             {hive.Key{Attr: "k"}, "no source"},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			r := &Resolver{Timeout: 20 * time.Second}
			if name == "too slow" || name == "a question, without end" {
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

func TestWhatAFailedCommandPrintedIsShownOnDemand(t *testing.T) {
	r := &Resolver{ShowErrors: true}
	for script, want := range map[string]string{
		"echo one >&2; printf 'two\r\nthree' >&2; exit 1": "exit status 1\n    one\n    two\n    three",
		"seq 20 >&2": "printed nothing; if that is meant, set allowEmpty = true\n    11\n",
		`head -c 17000 /dev/zero | tr '\0' x >&2; echo >&2; echo bad >&2; exit 1`: "exit status 1\n    bad",
		"exit 1": "exit status 1",
	} {
		_, err := r.Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{command("sh", "-c", script)}}, silent)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "--show-key-errors") {
			t.Errorf("%s: error %q, want %q", script, err, want)
		}
	}
}

func TestWhatACommandPrintsIsToldWhileItRuns(t *testing.T) {
	said := make(chan string, 10)
	r := &Resolver{Said: func(node, key, line string) { said <- node + " " + key + " " + line }}
	goOn := filepath.Join(t.TempDir(), "on")
	if err := syscall.Mkfifo(goOn, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := r.Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{command("sh", "-c", `echo touch the key >&2; read -r _ <"$1"; printf last >&2; echo v`, "sh", goOn)}}, silent)
		done <- err
	}()
	if line := <-said; line != "web k touch the key" {
		t.Errorf("told %q", line)
	}
	if err := os.WriteFile(goOn, []byte("\n"), 0); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if line := <-said; line != "web k last" {
		t.Errorf("told %q", line)
	}
}

func TestAnEmptyTextIsWorthAWarning(t *testing.T) {
	var warned string
	if _, err := new(Resolver).Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{text("")}}, func(text string) { warned = text }); err != nil || !strings.Contains(warned, "its text is empty") {
		t.Errorf("%v, warning %q", err, warned)
	}
}

func TestAnEmptyFileIsWorthAWarning(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for allowed, want := range map[bool]string{false: `deployment.keys."k": its keyFile is empty, and so is the secret`, true: ""} {
		var warned string
		key := hive.Key{Attr: "k", File: empty, AllowEmpty: allowed}
		got, err := new(Resolver).Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{key}}, func(text string) { warned = text })
		if content, there := got["k"]; err != nil || !there || content.Len() != 0 || warned != want {
			t.Errorf("allowed: %v: %v, warning %q, want %q", allowed, err, warned, want)
		}
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

// With several commands at once none could be talked to; waiting in the
// background for an answer that cannot come would last until the timeout.
func TestACommandThatAsksForAPassphraseFailsAtOnce(t *testing.T) {
	begin := time.Now()
	_, err := new(Resolver).Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{command("sh", "-c", "read -r answer </dev/tty")}}, silent)
	if !errors.Is(err, ErrCommand) || time.Since(begin) > 10*time.Second {
		t.Errorf("%v after %v, want ErrCommand at once", err, time.Since(begin))
	}
}

// To wait for a slot is no fault of the command.
func TestOnlyACommandThatItselfTakesLongIsToldOf(t *testing.T) {
	defer func(before time.Duration) { slowSource = before }(slowSource)
	slowSource = 600 * time.Millisecond
	var keys []hive.Key
	for _, pause := range []string{"0.2", "0.2", "0.2", "0.2", "0.2", "1.2"} {
		key := command("sh", "-c", "sleep "+pause+"; echo v")
		key.Attr = pause
		keys = append(keys, key)
	}
	var mu sync.Mutex
	var told []string
	_, err := (&Resolver{Limit: 1}).Resolve(t.Context(), hive.Node{Name: "web", Keys: keys}, func(text string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, text)
	})
	if want := `deployment.keys."1.2": the keyCommand sh takes long`; err != nil || strings.Join(told, "; ") != want {
		t.Errorf("%v, told %q, want %q", err, told, want)
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
