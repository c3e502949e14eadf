//go:build linux

package upload

import (
	"fmt"
	"strings"
	"testing"
)

// Each case changes a host to which keys were uploaded. Asking touches nothing.
func TestASurveyTellsHowKeysAreAndTouchesNothing(t *testing.T) {
	set := []Item{
		item("a", "1", made("v1")), item("b", "2", in("/srv/root")), item("c", "3", in("/srv/user")), item("old", "4", in("/srv/root")),
	}
	declared := set[:3]
	for _, c := range []struct{ name, host, record, source string }{
		{"as they were", ":", "old stale", "old stale"},
		{"none is there", "rm /run/keys/* /srv/root/* /srv/user/*", "a missing, b missing, c missing", "a missing, b missing, c missing"},
		{"other contents", "printf 0 >/run/keys/a; printf 22 >/srv/root/b; printf 0 >/srv/root/old", "a differs, b differs", "a differs, b differs"},
		{"other owners and modes", "chown 7:7 /run/keys/a /srv/user/c; chmod 644 /srv/root/b", "a wrong owner or mode, b wrong owner or mode, c wrong owner or mode, old stale", "a wrong owner or mode, b wrong owner or mode, c wrong owner or mode, old stale"},
		{"a pipe", "rm /srv/user/c; mkfifo /srv/user/c", "c differs, old stale", "c differs, old stale"},
		{"no memory", "rm /run/colmena-go/keys /var/lib/colmena-go/keys 2>/dev/null || :; printf 0 >/run/keys/a", "", "a differs"},
		{"another name of a place", "rm /srv/root/old; mv /srv/root/b /srv/root/old; rmdir /srv/root 2>/dev/null || :", "b missing", "b missing"},
	} {
		for _, shell := range shells {
			t.Run(c.name+" "+shell, func(t *testing.T) {
				fresh(t)
				sh(t, "mkdir /srv/user; chown 1000 /srv/user")
				warned(t, local{shell: shell}, set...)
				sh(t, c.host+"; find /run/keys /run/colmena-go /srv -type f -exec touch -a -d '3 days ago' {} +")
				before := inodes(t)
				for resolved, want := range map[bool]string{false: c.record, true: c.source} {
					list, err := Survey(t.Context(), local{shell: shell}, Request{Node: "web", Keys: declared}, resolved)
					if err != nil {
						t.Fatal(err)
					}
					var drift []string
					for _, s := range list {
						if s.Drifts() {
							drift = append(drift, fmt.Sprintf("%s %s", s.Name, s.Is))
						}
					}
					if got := strings.Join(drift, ", "); got != want {
						t.Errorf("resolved %t: %q, want %q", resolved, got, want)
					}
				}
				if after := inodes(t); after != before {
					t.Errorf("something was touched:\n%s\nbefore:\n%s", after, before)
				}
			})
		}
	}
	fresh(t)
	warned(t, local{}, set[0])
	list, err := Survey(t.Context(), local{}, Request{Node: "web", Keys: []Item{item("a", "", made("v2"))}}, false)
	if err != nil || len(list) != 1 || list[0].Note != "it was uploaded with another fingerprint" {
		t.Errorf("another fingerprint: %+v, %v", list, err)
	}

	fresh(t)
	warned(t, local{}, set[3])
	sh(t, "ln -s /srv/root /srv/alias")
	list, err = Survey(t.Context(), local{}, Request{Node: "web", Keys: []Item{item("old", "4", in("/srv/alias"))}}, false)
	if err != nil || len(list) != 1 || list[0].Drifts() {
		t.Errorf("the same file by another path: %+v, %v", list, err)
	}
}
