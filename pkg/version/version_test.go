package version

import (
	"runtime/debug"
	"testing"
	"time"
)

func TestABuildTellsItsCommit(t *testing.T) {
	const hash = "3545556a1b2c3d4e5f60718293a4b5c6d7e8f901"
	at := time.Date(2026, 11, 27, 6, 50, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		version  string
		settings map[string]string
		linked   string

		short string
		time  time.Time
	}{
		"of a checkout":                {"(devel)", map[string]string{"vcs.revision": hash, "vcs.time": "2026-11-27T06:50:00Z", "vcs.modified": "false"}, "", Number + " (3545556a1b2c)", at},
		"of a checkout with changes":   {"v0.1.1-0.20261127065000-3545556a1b2c+dirty", map[string]string{"vcs.revision": hash, "vcs.time": "2026-11-27T06:50:00Z", "vcs.modified": "true"}, "", Number + " (3545556a1b2c with changes)", at},
		"by go install of a release":   {"v0.1.0", nil, "", Number, time.Time{}},
		"by go install of a commit":    {"v0.0.0-20261127065000-3545556a1b2c", nil, "", Number + " (3545556a1b2c)", at},
		"a commit after a release":     {"v0.1.1-0.20261127065000-3545556a1b2c", nil, "", Number + " (3545556a1b2c)", at},
		"a commit after a candidate":   {"v0.2.0-rc.1.0.20261127065000-3545556a1b2c", nil, "", Number + " (3545556a1b2c)", at},
		"by Nix":                       {"(devel)", nil, hash, Number + " (3545556a1b2c)", time.Time{}},
		"by Nix of a tree not clean":   {"(devel)", nil, hash + "-dirty", Number + " (3545556a1b2c with changes)", time.Time{}},
		"of an archive":                {"(devel)", nil, "", Number, time.Time{}},
		"by Nix where a checkout lies": {"(devel)", map[string]string{"vcs.revision": "0000000000000000", "vcs.time": "2026-11-27T06:50:00Z", "vcs.modified": "true"}, hash, Number + " (3545556a1b2c)", time.Time{}},
		"with a hash that is short":    {"(devel)", nil, "3545", Number + " (3545)", time.Time{}},
	} {
		build := &debug.BuildInfo{Main: debug.Module{Version: c.version}}
		for key, value := range c.settings {
			build.Settings = append(build.Settings, debug.BuildSetting{Key: key, Value: value})
		}
		info := from(build, c.linked)
		if got := info.Short(); got != c.short {
			t.Errorf("%s: %q, want %q", name, got, c.short)
		}
		if !info.Time.Equal(c.time) {
			t.Errorf("%s: of %v, want %v", name, info.Time, c.time)
		}
	}
}
