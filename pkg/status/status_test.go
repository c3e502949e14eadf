package status

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/tests/hostdouble"
	"github.com/colmena-go/colmena-go/tests/namespace"
)

// The tests run the host's half with the sh of this machine, in a mount namespace in
// which it has no system yet; tests/hosts asks real hosts.
func TestMain(m *testing.M) {
	inside = namespace.Enter("/run", "/nix/var/nix/profiles")
	os.Exit(m.Run())
}

var inside bool

type thisMachine struct{}

func (thisMachine) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	return hostdouble.Run(ctx, exec.CommandContext(ctx, "sh", "-c", command), hostdouble.Streams{In: stdin, Out: stdout, Err: stderr, HangUp: true})
}

// system makes a stand-in for a toplevel with a kernel of this version.
func system(t *testing.T, name, version, kernel string) string {
	t.Helper()
	top := filepath.Join("/run", strings.Repeat(name, 32)+"-nixos-system-x")
	at := filepath.Join("/run", strings.Repeat("k", 32)+"-linux-"+kernel)
	for _, err := range []error{
		os.MkdirAll(top, 0o755), os.MkdirAll(at, 0o755),
		os.WriteFile(at+"/bzImage", nil, 0o644),
		os.WriteFile(top+"/nixos-version", []byte(version), 0o644),
		os.WriteFile(top+"/kernel-params", []byte("quiet  root=x\n"), 0o644),
		os.Symlink(at+"/bzImage", top+"/kernel"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return top
}

func TestAHostTellsItsSystemsGenerationsAndFiles(t *testing.T) {
	if !inside {
		t.Skip("needs root")
	}
	const profiles = "/nix/var/nix/profiles/"
	old, new := system(t, "a", "25.05.1", "6.6.30"), system(t, "b", "25.05.2", "6.6.31")
	script := `ln -s ` + old + ` /run/booted-system; ln -s ` + old + ` /run/current-system
ln -s ` + old + ` ` + profiles + `system-41-link; ln -s ` + old + ` ` + profiles + `system-43-link
ln -s ` + new + ` ` + profiles + `system-44-link; ln -s system-44-link ` + profiles + `system; ln -s /run/other ` + profiles + `system-42-link
touch -h -d @1000000 /run/booted-system; touch -h -d @2000000 ` + profiles + `system-44-link
mkdir '/run/my keys'; : >'/run/my keys/a [1]'; chmod 640 '/run/my keys/a [1]'; chown 0:4242 '/run/my keys/a [1]'; ln -s /etc/shadow '/run/my keys/link'`
	if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s, err := Ask(t.Context(), thisMachine{}, []string{"/run/my keys/a [1]", "/run/my keys/none", "/run/my keys/link"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Current.Path != old || s.Booted.Path != old || s.Next.Path != new || s.Current.NixOS() != "25.05.1" || s.Next.NixOS() != "25.05.2" {
		t.Errorf("systems: %+v", s)
	}
	if !maps.Equal(s.Next.Boot, map[string]string{"kernel": "/run/" + strings.Repeat("k", 32) + "-linux-6.6.31/bzImage", "kernel-params": "quiet root=x"}) {
		t.Errorf("%q", s.Next.Boot)
	}
	if here := Here(new); !reflect.DeepEqual(here, s.Next) {
		t.Errorf("this machine would tell %+v, and the host tells %+v", here, s.Next)
	}
	if got := s.RebootReason(); got != "kernel 6.6.30 → 6.6.31" {
		t.Errorf("%q", got)
	}
	if s.BootedSince != time.Unix(1000000, 0) || s.CurrentSince.IsZero() || time.Since(s.Now).Abs() > time.Minute || s.Profile != "system-44-link" {
		t.Errorf("times: %+v", s)
	}
	if s.Generation(s.Current).Number != 43 || s.Generation(s.Next) != (Generation{44, time.Unix(2000000, 0)}) || len(s.Generations) != 2 {
		t.Errorf("generations: %+v", s.Generations)
	}
	group := s.Files["/run/my keys/a [1]"]
	want := map[string]File{
		"/run/my keys/a [1]": {Regular: true, Mode: 0o640, GID: 4242, User: "root", Group: group.Group},
		"/run/my keys/link":  {Mode: 0o777, User: "root", Group: "root"},
	}
	if !maps.Equal(s.Files, want) {
		t.Errorf("files: %+v, want %+v", s.Files, want)
	}
}

const answered = `now 1700000000
system current /nix/store/a-nixos
version current 25.05
kernel current /nix/store/k/bzImage
initrd current /nix/store/a-nixos/initrd
kernel-modules current /nix/store/m
kernel-params current quiet
since 1600000000 /run/current-system
profile system-3-link
generation system-3-link 1600000000 /nix/store/a-nixos
state running
failed 0
file 600 0 0 root root 81a4 /run/keys/a b
.
`

func TestWhatAHostSaysIsReadWithCare(t *testing.T) {
	asked := []string{"/run/keys/a b"}
	plain, err := parse(answered+"logout\n", asked)
	want := State{
		Now: time.Unix(1700000000, 0), CurrentSince: time.Unix(1600000000, 0), Profile: "system-3-link", Running: "running",
		Current: closure.System{Path: "/nix/store/a-nixos", Version: "25.05",
			Boot: map[string]string{"kernel": "/nix/store/k/bzImage", "kernel-modules": "/nix/store/m", "kernel-params": "quiet"}},
		Generations: map[string]Generation{"/nix/store/a-nixos": {3, time.Unix(1600000000, 0)}},
		Files:       map[string]File{"/run/keys/a b": {Regular: true, Mode: 0o600, User: "root", Group: "root"}},
	}
	if err != nil || !reflect.DeepEqual(plain, want) {
		t.Errorf("%+v, %v\nwant\n%+v", plain, err, want)
	}
	for name, line := range map[string]string{
		"a file nobody asked about":     "file 600 0 0 root root 81a4 /etc/shadow",
		"a generation of no system":     "generation system-9-link 5 /nix/store/other",
		"a generation without a number": "generation system-x-link 5 /nix/store/a-nixos",
		"a system without a name":       "system strange /nix/store/x",
		"what has no path":              "version booted 1",
		"a time that makes no sense":    "since -5 /run/booted-system",
		"a time that no JSON can hold":  "since 253402300800 /run/booted-system",
		"a line of a newer host's half": "mood good",
		"nothing":                       "",
		"half a file":                   "file 600 0 0 /run/keys/a b",
	} {
		got, err := parse(line+"\n"+answered, asked)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, text := range []string{"", ".", ".\n", "now 1\n", "now 5", "now x\n.\n", "welcome\n.\n", strings.Repeat("x", 1<<20)} {
		if got, err := parse(text, asked); !errors.Is(err, ErrUnclear) || len(err.Error()) > 1000 {
			t.Errorf("%.40q: %+v, %v", text, got, err)
		}
	}
}

// After a rollback a system may have a newer generation that the profile does not lead to.
func TestOfSeveralGenerationsThatOfTheProfileIsMeant(t *testing.T) {
	profile, newer := "generation system-3-link 1600000000 /nix/store/a-nixos\n", "generation system-5-link 1650000000 /nix/store/a-nixos\n"
	for _, both := range []string{profile + newer, newer + profile} {
		s, err := parse(strings.Replace(answered, profile, both, 1), nil)
		if want := (Generation{3, time.Unix(1600000000, 0)}); err != nil || s.Generation(s.Current) != want {
			t.Errorf("%q: %+v, %v", both, s.Generation(s.Current), err)
		}
	}
}

func TestAHostMayTellOfAnyNumberOfFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), strings.Repeat("k", 200))
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Ask(t.Context(), thisMachine{}, slices.Repeat([]string{file}, 1000))
	if err != nil || s.Files[file].Mode != 0o600 {
		t.Errorf("%+v, %v", s.Files, err)
	}
}

func TestNothingThatAHostSaysReachesATerminal(t *testing.T) {
	var text strings.Builder
	text.WriteString("now 1\nsystem current /nix/store/\x1b[2Jx\nversion current \x1b]0;x\x07" + strings.Repeat("v", 9999) + "\nkernel current \x1b\r\u202e\nstate \x1b[31mgood\nfailed 99999999999999999999\n")
	for range 1000 {
		text.WriteString("unit \x1b[2Ja.service\x07\u202e\n")
	}
	s, err := parse(text.String()+".\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	all := append([]string{s.Current.Path, s.Current.Version, s.Running, s.Profile, s.Current.Boot["kernel"]}, s.Failed...)
	for _, text := range all {
		if strings.ContainsAny(text, "\x1b\x07\r\n\u202e") || len(text) > 400 {
			t.Errorf("%.100q", text)
		}
	}
	if len(s.Failed) != mostUnits || s.Units < mostUnits {
		t.Errorf("%d of %d units", len(s.Failed), s.Units)
	}
}
