package report

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/status"
)

// needing is a system with a kernel.
func needing(version, kernel string) closure.System {
	return closure.System{Path: "/nix/store/" + strings.Repeat("s", 32) + "-nixos-system-x-" + version,
		Boot: map[string]string{"kernel": "/nix/store/" + strings.Repeat("k", 32) + "-linux-" + kernel + "/bzImage"}}
}

// pathsOf are those of packages in the store.
func pathsOf(packages map[string]int64) map[string]int64 {
	sizes := map[string]int64{}
	for name, size := range packages {
		sizes["/nix/store/"+strings.Repeat("0", 32)+"-"+name] = size
	}
	return sizes
}

func diffs() []Diff {
	old, new := needing("25.05.1", "6.6.30"), needing("25.05.2", "6.6.31")
	had := pathsOf(map[string]int64{"nginx-1.26.1": 4e6, "nano-7.2": 1e6, "openssl-3.0.13": 5e6, "hosts": 100})
	needs := pathsOf(map[string]int64{"nginx-1.26.2": 5.2e6, "htop-3.3": 2e5, "openssl-3.0.14": 5e6, "hosts": 100})
	lacks := []string{"/nix/store/" + strings.Repeat("0", 32) + "-nginx-1.26.2"}
	changed := status.Comparison{Host: status.State{Current: old, Booted: old, Next: old}, Wanted: new}
	compared := func(had map[string]int64) closure.Found {
		was, is := old, new
		was.Sizes, is.Sizes = had, needs
		if had == nil {
			was = closure.System{}
		}
		return closure.Pair{Old: was, New: is}.Compare(closure.Answer{Lacks: lacks})
	}
	changed.Found = compared(had)
	same := status.Comparison{Host: status.State{Current: new, Booted: new, Next: new}, Wanted: new}
	elsewhere := same
	elsewhere.Host.Next = closure.System{Path: "/nix/store/z-other"}
	unknown := changed
	unknown.Packages, unknown.Host.Booted, unknown.Unknown = nil, closure.System{}, []string{"what the old system needs: nobody knows"}
	bare := status.Comparison{Wanted: new}
	bare.Found = compared(nil)
	of := func(node string, c status.Comparison) Diff {
		return Diff{event.Result{Node: node, Status: event.Succeeded}, &c}
	}
	return []Diff{
		of("bare", bare), {event.Result{Node: "dead", Status: event.Failed, Step: plan.Connect, Err: errors.New("refused")}, nil},
		of("elsewhere", elsewhere), {event.Result{Node: "none", Status: event.Skipped}, nil}, {event.Result{Node: "stopped", Status: event.Cancelled}, nil},
		of("unknown", unknown), of("web-1", changed), of("web-2", changed), of("web-3", same),
	}
}

func TestDifferencesAreReadAtAGlance(t *testing.T) {
	var out bytes.Buffer
	if err := Diffs(&out, diffs(), false); err != nil {
		t.Fatal(err)
	}
	want := `bare: runs no NixOS system, 5.2 MB to copy (1 path)
dead: could not be compared (connect)
elsewhere: no difference
  boots  /nix/store/z-other, which is neither the running nor the configured system
none: has no host: deployment.targetHost is null
stopped: was not compared
unknown: runs another system: /nix/store/ssssssssssssssssssssssssssssssss-nixos-system-x-25.05.1, 5.2 MB to copy (1 path)
  unknown  what the old system needs: nobody knows
web-1 and web-2: nixos 25.05.1 → 25.05.2, 10 MB → 10 MB, 5.2 MB to copy (1 path)
  changed  nginx    1.26.1 → 1.26.2  +1.2 MB
           openssl  3.0.13 → 3.0.14
  added    htop     3.3              +200 kB
  removed  nano     7.2              -1.0 MB
  reboot   kernel 6.6.30 → 6.6.31
web-3: no difference
4 of 9 hosts differ from their configuration, 21 MB to copy, 2 reboots, 3 not compared
`
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	if err := Diffs(&out, diffs()[8:], false); err != nil || out.String() != "web-3: no difference\nthe host runs its configuration\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestDifferencesAsJSON(t *testing.T) {
	var out bytes.Buffer
	if err := DiffsJSON(&out, diffs()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"same": null`, `"same": true`, `"same": false`, `"packages": null`, `"copy": null`, `"reboot": []`,
		`"error": "refused"`, `"what the old system needs: nobody knows"`, `"nixos": "25.05.1"`, `"kernel": "6.6.31"`,
		"\"name\": \"htop\",\n            \"old\": [],\n            \"new\": [\n              \"3.3\"\n            ],\n            \"bytes\": 200000",
		"\"copy\": {\n        \"bytes\": 5200000,\n        \"paths\": 1", `"rebuilt": 0`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in %s", want, out.String())
		}
	}
}

// docs/commands.md says from where on.
func TestGrowthIsToldFromEightKilobytesOn(t *testing.T) {
	for bytes, want := range map[int64]string{0: "", 7999: "", -7999: "", 8000: "+8.0 kB", -8000: "-8.0 kB", 52_000_000: "+52 MB"} {
		if got := grown(bytes); got != want {
			t.Errorf("%d: %q, want %q", bytes, got, want)
		}
	}
}
