//go:build linux

package upload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// prune removes what is none of the items, and says what it did, a file a line.
func prune(t *testing.T, host local, node string, declared ...Item) string {
	t.Helper()
	return pruned(Prune(t.Context(), host, Request{Node: node, Who: "test", LockWait: 5 * time.Second}, keysOf(declared), nil))
}

func keysOf(items []Item) (keys []hive.Key) {
	for _, it := range items {
		keys = append(keys, it.Key)
	}
	return keys
}

func pruned(files []plan.StaleFile, err error) string {
	var b strings.Builder
	for _, f := range files {
		switch {
		case f.Remove():
			fmt.Fprintf(&b, "removed %s\n", f.Path)
		case f.Kept != "":
			fmt.Fprintf(&b, "kept %s: %s\n", f.Path, f.Kept)
		}
	}
	if err != nil {
		fmt.Fprintf(&b, "error: %v\n", err)
	}
	return b.String()
}

// After two keys were brought to a directory, something happens, and then one of them is
// no key any more.
func TestOnlyWhatWasPutThereIsRemoved(t *testing.T) {
	const users = "mkdir -p /srv/mine; chown 1234:1234 /srv/mine"
	for name, test := range map[string]struct {
		before, meanwhile string // commands: before the keys come, and after it
		dir               string // of the keys; "" for /run/keys
		want              string // "old" stands for the path of the one that is no key
		there             bool   // whether something is at that path afterwards
	}{
		"as it was":                    {want: "removed old\n"},
		"with another owner and mode":  {meanwhile: "chown 1:1 /run/keys/old; chmod 644 /run/keys/old", want: "removed old\n"},
		"on a disk":                    {dir: "/srv/disk/d", want: "removed old\n"},
		"in a directory of others":     {before: users, dir: "/srv/mine", want: "removed old\n"},
		"somebody removed it":          {meanwhile: "rm /run/keys/old", want: ""},
		"somebody wrote to it":         {meanwhile: "printf x >>/run/keys/old", want: "kept old: it is no longer what was put there\n", there: true},
		"of the same size":             {meanwhile: "printf SECRET >/run/keys/old", want: "kept old: it is no longer what was put there\n", there: true},
		"it is a symlink now":          {meanwhile: "mv /run/keys/old /run/moved; ln -s ../moved /run/keys/old", want: "kept old: it is a symlink now\n", there: true},
		"it is a directory now":        {meanwhile: "rm /run/keys/old; mkdir /run/keys/old", want: "kept old: it is a directory now\n", there: true},
		"it is a pipe now":             {meanwhile: "rm /run/keys/old; mkfifo /run/keys/old", want: "kept old: it is a device, pipe or socket now\n", there: true},
		"the same was there before us": {before: "mkdir -p /run/keys; printf secret >/run/keys/old; chmod 600 /run/keys/old", want: "", there: true},
		"its directory is gone":        {before: "mkdir -p /srv/d", dir: "/srv/d", meanwhile: "rm -r /srv/d", want: ""},
		"its directory is a symlink of others": {before: users, dir: "/srv/mine/d", meanwhile: "mv /srv/mine/d /srv/other; ln -s /srv/other /srv/mine/d; chown -h 1234 /srv/mine/d",
			want: "kept old: /srv/mine/d is a symlink that root did not make\n", there: true},
		"its directory is a symlink of root's": {before: "mkdir -p /srv/real; ln -s real /srv/link", dir: "/srv/link", want: "removed old\n"},
		"a mount hides it":                     {before: "mkdir -p /srv/d", dir: "/srv/d", meanwhile: "mount -t tmpfs none /srv/d", want: ""},
		"something is mounted on it":           {meanwhile: "touch /srv/x; mount --bind /srv/x /run/keys/old", want: "kept old: it is no longer what was put there\n", there: true},
		"its memory is lost":                   {meanwhile: "rm -f /run/colmena-go/keys /var/lib/colmena-go/keys", want: "", there: true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, shell := range shells[:1] {
				t.Run(shell, func(t *testing.T) {
					if fresh(t); strings.HasPrefix(test.dir, "/srv/disk") {
						disk(t, "32M")
					}
					sh(t, test.before)
					at := test.dir
					if at == "" {
						at = "/run/keys"
					}
					old, kept := item("old", "secret", in(at)), item("kept", "stays", in(at))
					warned(t, local{shell: shell}, old, kept)
					sh(t, test.meanwhile)
					t.Cleanup(func() { exec.Command("umount", "-q", "/srv/d", "/run/keys/old").Run() })
					foretold := pruned(LookStale(t.Context(), local{shell: shell}, Request{Node: "web", Who: "test"}, keysOf([]Item{kept})))
					got := prune(t, local{shell: shell}, "web", kept)
					if want := strings.ReplaceAll(test.want, "old:", at+"/old:"); strings.ReplaceAll(want, "removed old", "removed "+at+"/old") != got {
						t.Errorf("got %q, want %q", got, test.want)
					}
					if foretold != got {
						t.Errorf("foretold was %q, done %q", foretold, got)
					}
					if _, err := os.Lstat(at + "/old"); (err == nil) != test.there {
						t.Errorf("is it there: %v", err)
					}
					if again := prune(t, local{shell: shell}, "web", kept); strings.Contains(again, "removed") {
						t.Errorf("again: %q", again)
					}
					if stages := sh(t, "find /run /srv -name '.colmena-go.*'"); stages != "" {
						t.Error("left behind: " + stages)
					}
				})
			}
		})
	}
}

func TestAFileThatIsAnotherKeysNowIsNotRemoved(t *testing.T) {
	fresh(t)
	host := local{shell: "dash"}
	sh(t, "mkdir -p /srv/real; ln -s real /srv/link")
	old := item("token", "secret", in("/srv/real"))
	warned(t, host, old)
	spelled := item("token", "secret", in("/srv/link"), as("other"))
	warned(t, host, spelled)
	if got := prune(t, host, "web", spelled); got != "" || sh(t, "cat /srv/real/token") != "secret" {
		t.Error(got)
	}
	// By that path it was found there: in doubt it stays.
	if got := prune(t, host, "web"); got != "" {
		t.Error(got)
	}
}

func TestEveryNodeHasItsOwn(t *testing.T) {
	fresh(t)
	host := local{shell: "bash"}
	warned(t, host, item("token", "secret"))
	if got := prune(t, host, "another"); got != "" {
		t.Error(got)
	}
	if got := prune(t, host, "web"); got != "removed /run/keys/token\n" {
		t.Error(got)
	}
}

func TestThousandsOfStaleKeysAreRemovedAtOnce(t *testing.T) {
	fresh(t)
	host := local{shell: "dash"}
	var items []Item
	for i := range 3000 {
		items = append(items, item(fmt.Sprintf("key-with-a-rather-long-name-%04d", i), fmt.Sprint("secret", i)))
	}
	warned(t, host, items...)
	if got := strings.Count(prune(t, host, "web", items[0]), "removed "); got != 2999 {
		t.Errorf("%d are removed", got)
	}
	if left := sh(t, "ls /run/keys"); left != "key-with-a-rather-long-name-0000\n" {
		t.Error(left)
	}
}

// A connection that is cut removes all, some or nothing of it; the next run does the rest.
func TestAPruningThatIsCutIsFinishedByTheNext(t *testing.T) {
	fresh(t)
	items := []Item{item("a", "secret a"), item("b", "secret b", in("/run/other"))}
	script := int64(len(hostscript.Proving("0123456789abcdef", hostScript)))
	for cut := script; ; cut += 19 {
		warned(t, local{shell: "dash"}, items...)
		got := prune(t, local{shell: "dash", stdin: cutAfter(cut)}, "web")
		if !strings.Contains(got, "error: ") {
			if got != "removed /run/keys/a\nremoved /run/other/b\n" {
				t.Error(got)
			}
			break
		}
		prune(t, local{shell: "dash"}, "web")
		if left := sh(t, "ls -A /run/keys /run/other"); strings.Contains(left, "a\n") || strings.Contains(left, ".colmena") {
			t.Fatalf("cut after %d bytes: %s", cut, left)
		}
	}
}

func TestNothingIsRemovedThatWasNotAgreedTo(t *testing.T) {
	fresh(t)
	host := local{shell: "dash"}
	warned(t, host, item("a", "secret"), item("b", "secret"))
	files, err := Prune(t.Context(), host, Request{Node: "web", Who: "test"}, nil, func(f plan.StaleFile) bool { return f.Attr == "a" })
	if got := pruned(files, err); got != "removed /run/keys/a\nkept /run/keys/b: it was not shown to be removed\n" {
		t.Error(got)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if _, err := Prune(ctx, host, Request{Node: "web", Who: "test"}, nil, nil); err == nil || sh(t, "cat /run/keys/b") != "secret" {
		t.Error(err)
	}
}

func TestBelowAnotherRootOnlyWhatIsThereIsRemoved(t *testing.T) {
	fresh(t)
	sh(t, "mkdir -p /srv/root/etc; echo root:x:0:0::/: >/srv/root/etc/passwd; echo root:x:0: >/srv/root/etc/group")
	host, old := local{shell: "dash"}, item("old", "secret", in("/var/keys"))
	below := Request{Root: "/srv/root", Node: "web", Keys: []Item{old}, Who: "test", LockWait: 5 * time.Second}
	if _, err := Run(t.Context(), host, below); err != nil {
		t.Fatal(err)
	}
	if got := prune(t, host, "web"); got != "" || sh(t, "cat /srv/root/var/keys/old") != "secret" {
		t.Errorf("above the root: %q", got)
	}
	below.Keys = nil
	if got := pruned(Prune(t.Context(), host, below, nil, nil)); got != "removed /var/keys/old\n" {
		t.Error(got)
	}
	if left := sh(t, "ls -A /srv/root/var/keys"); left != "" {
		t.Error(left)
	}
	// A way out of the root leads to a file that is alike.
	below.Keys = []Item{old}
	if _, err := Run(t.Context(), host, below); err != nil {
		t.Fatal(err)
	}
	sh(t, "mkdir -p /srv/keys; printf secret >/srv/keys/old; mv /srv/root/var/keys /srv/root/var/moved; ln -s /srv/keys /srv/root/var/keys")
	below.Keys = nil
	if got := pruned(Prune(t.Context(), host, below, nil, nil)); strings.Contains(got, "removed") || sh(t, "cat /srv/keys/old /srv/root/var/moved/old") != "secretsecret" {
		t.Error(got)
	}
}
