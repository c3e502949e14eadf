package closure

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// paths are a closure of names, 1000 bytes each; a letter before a colon makes the
// hash another one.
func paths(names ...string) map[string]int64 {
	sizes := map[string]int64{}
	for _, name := range names {
		hash, rest, marked := strings.Cut(name, ":")
		if !marked {
			hash, rest = "a", name
		}
		sizes["/nix/store/"+strings.Repeat(hash, 32)+"-"+rest] = 1000
	}
	return sizes
}

func TestNamesAndVersionsAreTakenApart(t *testing.T) {
	for name, want := range map[string]string{
		"nginx-1.26.1":                         "nginx 1.26.1",
		"nginx-1.26.1-doc":                     "nginx 1.26.1",
		"gcc-13.3.0-lib":                       "gcc 13.3.0",
		"gcc-13.3.0-libgcc":                    "gcc 13.3.0",
		"openssl-3.0.13-man":                   "openssl 3.0.13",
		"foo-1.0-dev-doc":                      "foo 1.0",
		"perl5.38.2-FileSlurp-9999.32":         "perl5.38.2-FileSlurp 9999.32",
		"python3.11-yaml-6.0":                  "python3.11-yaml 6.0",
		"python3-3.11.9-env":                   "python3 3.11.9",
		"linux-6.6.31":                         "linux 6.6.31",
		"linux-6.6.31-modules":                 "linux 6.6.31",
		"ffmpeg-unstable-2024-01-02":           "ffmpeg-unstable 2024-01-02",
		"bash-interactive-5.2p26":              "bash-interactive 5.2p26",
		"glibc-locales-2.39-52":                "glibc-locales 2.39-52",
		"lvm2-2.03.23-bin":                     "lvm2 2.03.23",
		"unit-nginx.service":                   "",
		"unit-getty-1.service":                 "",
		"etc-2":                                "",
		"stage-2-init.sh":                      "",
		"nixos-system-web-25.05.1":             "",
		"initrd-linux-6.6.31":                  "",
		"system-path":                          "",
		"hosts":                                "",
		"source":                               "",
		"-1":                                   "",
		"":                                     "",
		"a-_":                                  "",
		"system-units":                         "",
		"user-group-1000-shells-":              "user-group 1000-shells-",
		"acme-credentials.secret":              "",
		"nixos-manual-html":                    "",
		"man-db-2.12.1":                        "man-db 2.12.1",
		"container-tools-doc":                  "",
		"firmware-linux-nonfree-2024-05-03-xz": "firmware-linux-nonfree 2024-05-03",
	} {
		got := ""
		if name, version := split("/nix/store/" + strings.Repeat("0", 32) + "-" + name); version != "" {
			got = name + " " + version
		}
		if got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

func TestWhatPeopleReadOfTwoClosures(t *testing.T) {
	for name, c := range map[string]struct {
		old, new []string
		want     string
	}{
		"nothing":              {[]string{"nginx-1"}, []string{"nginx-1"}, ""},
		"another version":      {[]string{"nginx-1.26.1", "x-1"}, []string{"nginx-1.26.2", "x-1"}, "nginx 1.26.1 → 1.26.2"},
		"one that comes":       {nil, []string{"htop-3.3"}, "+ htop 3.3"},
		"one that goes":        {[]string{"nano-7.2"}, nil, "- nano 7.2"},
		"all of its outputs":   {[]string{"nginx-1", "nginx-1-doc"}, []string{"nginx-2", "nginx-2-doc"}, "nginx 1 → 2"},
		"an output that comes": {[]string{"nginx-1"}, []string{"nginx-1", "nginx-1-doc"}, ""},
		"rebuilt":              {[]string{"a:nginx-1"}, []string{"b:nginx-1"}, ""},
		"one of several":       {[]string{"openssl-1.1.1w", "openssl-3.0.13"}, []string{"openssl-1.1.1w", "openssl-3.0.14"}, "openssl 3.0.13 → 3.0.14"},
		"one version more":     {[]string{"python-3.11"}, []string{"python-3.9", "python-3.11"}, "python 3.11 → 3.9, 3.11"},
		"one version less":     {[]string{"python-3.9", "python-3.11"}, []string{"python-3.11"}, "python 3.9, 3.11 → 3.11"},
		"very many versions":   {[]string{"p-1"}, []string{"p-2", "p-3", "p-4", "p-5", "p-6"}, "p 1 → 2, 3, 4, …"},
		"what has no version":  {[]string{"unit-nginx.service"}, []string{"unit-sshd.service", "hosts"}, ""},
		"changed, came, went": {[]string{"nginx-1", "nano-7.2", "acl-2"}, []string{"nginx-2", "htop-3.3", "acl-3"},
			"acl 2 → 3   nginx 1 → 2   + htop 3.3   - nano 7.2"},
	} {
		d := Compare(System{Sizes: paths(c.old...)}, System{Sizes: paths(c.new...)})
		if got := d.Line(200); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestSizesAndNumbersOfPaths(t *testing.T) {
	old := System{Path: "/nix/store/" + strings.Repeat("a", 32) + "-nixos-system-web-25.05.1", Sizes: paths("nginx-1", "gone-1", "a:bash-5", "hosts")}
	new := System{Version: "25.05.2", Sizes: paths("nginx-2", "b:bash-5", "hosts")}
	new.Sizes["/nix/store/"+strings.Repeat("b", 32)+"-bash-5"] = 2500
	d := Compare(old, new)
	want := Diff{
		OldNixOS: "25.05.1", NewNixOS: "25.05.2", Rebuilt: 1, OldPaths: 3, NewPaths: 2, OldBytes: 4000, NewBytes: 4500,
		Changed: []Change{{Name: "nginx", Old: []string{"1"}, New: []string{"2"}}},
		Removed: []Change{{Name: "gone", Old: []string{"1"}, Bytes: -1000}},
	}
	if fmt.Sprintf("%+v", d) != fmt.Sprintf("%+v", want) {
		t.Errorf("%+v\nwant\n%+v", d, want)
	}
	if d.Same() || !Compare(old, old).Same() {
		t.Error("what is the same is not told from what is not")
	}
}

func TestALineIsBounded(t *testing.T) {
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("package%d-1.%d", i, i))
	}
	d := Compare(System{Sizes: paths()}, System{Sizes: paths(names...)})
	for width := 20; width < 200; width++ {
		line := d.Line(width)
		if n := len([]rune(line)); n > width {
			t.Fatalf("%d columns: %q has %d", width, line, n)
		}
		if !strings.HasSuffix(line, " more") {
			t.Fatalf("%q does not say that there is more", line)
		}
	}
	if got := d.Line(50); got != "+ package0 1.0   + package1 1.1   … 998 more" {
		t.Errorf("%q", got)
	}
	if got := d.Line(5); got != "… 1000 more" {
		t.Errorf("%q", got)
	}
}

func TestTheVersionOfNixOSInAName(t *testing.T) {
	for name, want := range map[string]string{
		"nixos-system-web-25.05.1":                   "25.05.1",
		"nixos-system-web-01-25.05.20250601.abc1234": "25.05.20250601.abc1234",
		"nixos-system-web-01-25.11pre-git":           "25.11pre-git",
		"nixos-system-db-10.20-24.11":                "24.11",
		"nixos-system-unnamed-tag-25.05.1":           "25.05.1",
		"nixos-system-web-test":                      "",
		"nginx-25.05":                                "",
		"":                                           "",
		"nixos-system-25.05":                         "",
		"nixos-system-" + strings.Repeat("-", 1000) + "1.": "",
	} {
		if got := (System{Path: "/nix/store/" + strings.Repeat("x", 32) + "-" + name}).NixOS(); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	if got := (System{Path: "x", Version: "custom"}).NixOS(); got != "custom" {
		t.Errorf("what the system says itself is not taken: %q", got)
	}
}

func TestWhatWaitsForAReboot(t *testing.T) {
	kernel := func(version string) map[string]string {
		at := "/nix/store/" + strings.Repeat("k", 32) + "-linux-" + version
		return map[string]string{"kernel": at + "/bzImage", "initrd": "/nix/store/" + version, "kernel-modules": at + "-modules", "kernel-params": "quiet"}
	}
	other := maps.Clone(kernel("6.6.30"))
	other["kernel-params"], other["initrd"] = "loud", "/nix/store/other"
	for name, c := range map[string]struct {
		new   map[string]string
		parts []string
		want  string
	}{
		"nothing":                {kernel("6.6.30"), nil, ""},
		"another kernel":         {kernel("6.6.31"), []string{"kernel", "initrd", "kernel-modules"}, "kernel 6.6.30 → 6.6.31"},
		"all but the kernel":     {other, []string{"initrd", "kernel-params"}, "initrd, kernel-params"},
		"not known":              {nil, nil, ""},
		"a system without parts": {map[string]string{}, BootParts, "kernel, initrd, kernel-modules, kernel-params"},
	} {
		booted, new := System{Boot: kernel("6.6.30")}, System{Boot: c.new}
		if got := RebootParts(booted, new); !slices.Equal(got, c.parts) {
			t.Errorf("%s: %q, want %q", name, got, c.parts)
		}
		if got := RebootReason(booted, new); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func FuzzNoNameIsTooOdd(f *testing.F) {
	f.Add("/nix/store/00000000000000000000000000000000-nginx-1.26.1-doc", "nginx-")
	f.Fuzz(func(t *testing.T, a, b string) {
		d := Compare(System{Path: a, Sizes: map[string]int64{a: 1}}, System{Path: b, Sizes: map[string]int64{b: 2}})
		for _, width := range []int{-1, 0, 30} {
			if n := len([]rune(d.Line(width))); n > max(width, len("… 2 more")) {
				t.Errorf("%d columns for %d", n, width)
			}
		}
	})
}
