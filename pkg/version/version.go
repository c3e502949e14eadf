// Package version says which colmena-go this is: its number, and the commit it
// was built of.
package version

import (
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// Number is the version of this source. A release is tagged v and that.
const Number = "0.1.0"

// commit is set at link time where there is no repository to ask, as in a build
// of Nix: -ldflags "-X github.com/colmena-go/colmena-go/pkg/version.commit=…".
// What follows the hash in "abc123-dirty" says that it is not all.
var commit string

// Info is what a binary tells of itself. Its JSON form is stable, see docs/json.md.
type Info struct {
	Version string `json:"version"`
	// Commit is a hash, in full or at least its first 12 digits; "" if the build
	// knew of none.
	Commit string `json:"commit,omitempty"`
	// Time is that of the commit; zero if the build did not know it.
	Time time.Time `json:"time,omitzero"`
	// Modified says that the source had changes that are not in the commit.
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	// Static says that the binary needs no library of the system's.
	Static bool `json:"static"`
}

// Get reads it from the running binary.
func Get() Info {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		build = &debug.BuildInfo{}
	}
	return from(build, commit)
}

// pseudo is the end of a version that `go install MODULE@COMMIT` makes up.
var pseudo = regexp.MustCompile(`-(?:0\.|[0-9A-Za-z.-]+\.0\.)?(\d{14})-([0-9a-f]{12})(?:\+|$)`)

// from puts together what a build knows. What was linked in wins.
func from(build *debug.BuildInfo, linked string) Info {
	info := Info{Version: Number, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if m := pseudo.FindStringSubmatch(build.Main.Version); m != nil {
		info.Time, _ = time.Parse("20060102150405", m[1])
		info.Commit = m[2]
	}
	cgo := true
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			info.Commit = s.Value
		case "vcs.time":
			info.Time, _ = time.Parse(time.RFC3339, s.Value)
		case "vcs.modified":
			info.Modified = s.Value == "true"
		case "CGO_ENABLED":
			cgo = s.Value != "0"
		}
	}
	info.Static = !cgo && info.OS == "linux"
	if linked != "" {
		info.Commit, info.Time = strings.TrimSuffix(linked, "-dirty"), time.Time{}
		info.Modified = info.Commit != linked
	}
	return info
}

// Short is the version and the commit in a line, such as "0.1.0 (3545556a1b2c)".
func (i Info) Short() string {
	switch {
	case i.Commit == "":
		return i.Version
	case i.Modified:
		return i.Version + " (" + i.hash() + " with changes)"
	}
	return i.Version + " (" + i.hash() + ")"
}

func (i Info) hash() string { return i.Commit[:min(12, len(i.Commit))] }
