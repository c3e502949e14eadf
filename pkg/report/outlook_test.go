package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

func system(version string) closure.System {
	return closure.System{Path: "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos-system-web-" + version}
}

// outlooks are those of a fleet.
func outlooks() []event.Result {
	web := &plan.Outlook{Goal: hive.Switch, Brings: system("25.05.2").Path, Runs: system("25.05.1"), Boots: system("25.05.1"), New: system("25.05.2"),
		Copy: &closure.Copy{Paths: 12, Bytes: 52_000_000},
		Packages: &closure.Diff{
			Changed: []closure.Change{{Name: "nginx", Old: []string{"1.26.1"}, New: []string{"1.26.2"}}, {Name: "openssl", Old: []string{"3.0.13"}, New: []string{"3.0.14"}}},
			Added:   []closure.Change{{Name: "htop", New: []string{"3.3"}}}},
		Units: &plan.Units{Restart: []string{"nginx.service"}, Reload: []string{"dbus.service"}, Start: []string{"foo.timer"}},
		Keys: []plan.KeyOutlook{
			{Name: "acme.secret", Change: plan.Changed, Differs: []string{"content"}, Digest: secret.New([]byte("x")).Digest()},
			{Name: "db-password", Change: plan.Changed, New: true}, {Name: "same", Change: plan.Unchanged},
			{Name: "token", Change: plan.Mended, Differs: []string{"owner"}},
			{Name: "volatile", Change: plan.Skipped, Note: "/run/keys does not survive the reboot"},
		},
		Due: "kernel 6.6.30 → 6.6.31",
	}
	db := &plan.Outlook{Goal: hive.Switch, Brings: system("25.05.2").Path, New: system("25.05.2"), Copy: &closure.Copy{},
		Foreign: []plan.Foreign{{Path: "/nix/store/zzzz-other", Boots: true}}, Unknown: []string{"units: no answer within 30s"}}
	same := &plan.Outlook{Goal: hive.Switch, Brings: system("25.05.2").Path, Same: true, Due: "initrd"}
	return []event.Result{
		{Node: "mx\x1b[2J", Status: event.Failed, Step: plan.Connect, Err: errors.New("cannot reach 10.0.0.9:22:\nconnection \x1b[31mrefused")},
		{Node: "web-01", Status: event.Succeeded, Outlook: web}, {Node: "web-02", Status: event.Succeeded, Outlook: same},
		{Node: "db-01", Status: event.Succeeded, Outlook: db}, {Node: "laptop", Status: event.Skipped},
	}
}

func TestAnOutlookReadsAsWhatWillHappen(t *testing.T) {
	const want = `web-01       changed   nixos 25.05.1 → 25.05.2   52 MB to copy
  packages  nginx 1.26.1 → 1.26.2   openssl 3.0.13 → 3.0.14   + htop 3.3
  units     restart nginx.service   reload dbus.service   start foo.timer
  keys      ~ acme.secret (content)   + db-password   owner of token
            not volatile (/run/keys does not survive the reboot)
  reboot    kernel 6.6.30 → 6.6.31
web-02       nothing to do
  reboot    waits for one already: initrd
db-01        changed   nixos 25.05.2
  !         the profile is not ours: /nix/store/zzzz-other (set by boot)
  unknown   units: no answer within 30s
laptop       skipped   deployment.targetHost is null
"mx\x1b[2J"  error   connect: cannot reach 10.0.0.9:22:
    connection refused
2 of 5 nodes would change, 52 MB, 1 reboot, 1 error, 1 skipped
`
	if got := Outlook(outlooks(), false); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := Outlook(outlooks(), true); strings.Contains(got, "\x1b[2J") || ours.ReplaceAllString(got, "") != Outlook(outlooks(), false) {
		t.Errorf("in colour it is\n%q", got)
	}
}

func TestAnOutlookOfManyThingsIsBounded(t *testing.T) {
	o := &plan.Outlook{Brings: "s", Packages: &closure.Diff{Rebuilt: 3}}
	for i := range 1000 {
		o.Keys = append(o.Keys, plan.KeyOutlook{Name: strings.Repeat("k", i), Change: plan.Changed, New: true})
	}
	got := Outlook([]event.Result{{Node: "web", Status: event.Succeeded, Outlook: o}}, false)
	if len(got) > 5000 || !strings.Contains(got, "… 976 more") || !strings.Contains(got, "3 rebuilt, in the same versions") {
		t.Errorf("got\n%s", got)
	}
}

func TestNothingToDoIsSaidSo(t *testing.T) {
	for want, list := range map[string][]event.Result{
		"there are no nodes, so there is nothing to do": nil,
		"nothing to do: 1 node is as wanted":            outlooks()[2:3],
		"nothing to do: 2 nodes are as wanted":          append(outlooks()[2:3], outlooks()[2]),
		"0 of 2 nodes would change, 1 error":            append(outlooks()[2:3], outlooks()[0]),
		"1 of 2 nodes would change, 52 MB, 1 reboot":    outlooks()[1:3],
		"0 of 1 node would change, 1 skipped":           outlooks()[4:],
		"0 of 1 node would change, 1 cancelled":         {{Node: "a", Status: event.Cancelled}},
		"1 of 2 nodes would change, 1 skipped":          outlooks()[3:],
		"1 of 1 node would change, 1 reboot":            {{Status: event.Succeeded, Outlook: &plan.Outlook{Reboots: true}}},
		"2 of 3 nodes would change, 52 MB, 1 reboot":    outlooks()[1:4],
		"0 of 1 node would change, 1 error":             outlooks()[:1],
	} {
		if got := prospects(list); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAnOutlookInJSONHoldsNoDigestAndNoEscape(t *testing.T) {
	var out bytes.Buffer
	if err := OutlookJSON(&out, outlooks()); err != nil {
		t.Fatal(err)
	}
	var document struct {
		Results []struct {
			Node, Status string
			Copy         *struct{ Bytes int }
			Units        *struct{ Restart, Stop []string }
		}
	}
	if err := json.Unmarshal(out.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range document.Results {
		got = append(got, n.Status)
	}
	if want := "failed changed same changed skipped"; strings.Join(got, " ") != want || document.Results[1].Copy.Bytes != 52_000_000 || document.Results[1].Units.Stop == nil {
		t.Errorf("%s", out.String())
	}
	if strings.Contains(out.String(), secret.New([]byte("x")).Digest().Reveal()) || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%s", out.String())
	}
}
