//go:build linux

package upload

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

func made(from string) func(*hive.Key) { return func(k *hive.Key) { k.Fingerprint = from } }

// Each case changes the host, and says which keys it holds then. Asking touches nothing.
func TestAHostTellsWhatItHoldsAndIsNotTouched(t *testing.T) {
	set := []Item{
		item("a", "1", made("v1")), item("b", "2", made("v1"), in("/srv/root")), item("c", "3", made("v1"), in("/srv/user")),
		item("d", "4"), item("e", "", made("v1")),
	}
	for _, c := range []struct{ name, host, holds string }{
		{"all", ":", "a b c e"},
		{"none is there", "rm /run/keys/* /srv/root/* /srv/user/*", ""},
		{"other contents", "printf 0 >/run/keys/a; printf 0 >/srv/user/c; printf 1 >/run/keys/e", "b"},
		{"other owners and modes", "chown 7:7 /run/keys/a /srv/user/c; chmod 644 /srv/root/b", "a b c e"},
		{"links", "mv /srv/root/b /srv/b; ln -s /srv/b /srv/root/b; mv /srv/user/c /srv/c; ln -s /srv/c /srv/user/c", "a e"},
		{"a directory that is a user's link", "mv /srv/user /srv/real; mkdir /srv/home; chown 1000 /srv/home; ln -s /srv/real /srv/user; chown -h 1000 /srv/user", "a b e"},
		{"pipes", "rm /run/keys/a /srv/user/c; mkfifo /run/keys/a /srv/user/c", "b e"},
		{"no memory", "rm /run/colmena-go/keys", ""},
		{"a memory of nothing", "echo x >/run/colmena-go/keys", ""},
	} {
		for _, shell := range shells {
			t.Run(c.name+" "+shell, func(t *testing.T) {
				fresh(t)
				sh(t, "mkdir /srv/user; chown 1000 /srv/user")
				warned(t, local{shell: shell}, set...)
				sh(t, c.host+"; find /run/keys /run/colmena-go /srv -type f -exec touch -a -d '3 days ago' {} +")
				before := inodes(t)
				holds, err := Holding(t.Context(), local{shell: shell}, Request{Keys: set})
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.Join(slices.Sorted(maps.Keys(holds)), " "); got != c.holds {
					t.Errorf("it holds %q, want %q", got, c.holds)
				}
				if after := inodes(t); after != before {
					t.Errorf("something was touched:\n%s\nbefore:\n%s", after, before)
				}
			})
		}
	}
}

// What was held and no longer is, is found before anything is changed.
func TestAnUploadOfWhatIsNoLongerHeldChangesNothing(t *testing.T) {
	fresh(t)
	sh(t, "mkdir /srv/user; chown 1000 /srv/user")
	set := []Item{item("a", "1", made("v1")), item("b", "2", made("v1"), in("/srv/user"))}
	warned(t, local{}, set...)
	holds, err := Holding(t.Context(), local{}, Request{Keys: set})
	if err != nil || len(holds) != 2 {
		t.Fatal(holds, err)
	}
	held := []Item{item("new", "n")}
	for _, it := range set {
		entry := holds[it.Key.Attr]
		held = append(held, Item{Key: it.Key, Held: &entry})
	}
	for name, command := range map[string]string{
		"a": "printf 0 >/run/keys/a", "a b": "rm /run/keys/a; printf 0 >/srv/user/b", "b": "chmod 640 /srv/user/b",
	} {
		fresh := sh(t, command+"; echo done")
		before := tree(t)
		var gone *plan.NotHeldError
		for _, run := range []func() (plan.KeyPlan, error){
			func() (plan.KeyPlan, error) { return upload(t, local{}, held...) },
			func() (plan.KeyPlan, error) { return lookAt(t, local{}, held...) },
		} {
			if _, err := run(); !errors.As(err, &gone) || strings.Join(gone.Keys, " ") != name {
				t.Errorf("%s: %v", name, err)
			}
		}
		if after := tree(t); after != before || fresh != "done\n" {
			t.Errorf("%s: something changed:\n%s\nbefore:\n%s", name, after, before)
		}
		warned(t, local{}, set...)
	}
	steps, err := upload(t, local{}, held...)
	if err != nil || steps[0].Change != plan.Changed || steps[1].Change != plan.Unchanged || steps[2].Change != plan.Unchanged {
		t.Errorf("%v, %v", steps, err)
	}
	onHost(t, "/run/keys/new", "n", 0, 0, 0o600)
	onHost(t, "/srv/user/b", "2", 0, 0, 0o600)
}
