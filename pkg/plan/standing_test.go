package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// Each case is a file on a host, against what its key's source gives.
func TestStandingsAgainstTheSource(t *testing.T) {
	content := secret.New([]byte("v"))
	key := hive.Key{Attr: "k", Name: "k", DestDir: "/run/keys", User: "root", Group: "keys", Mode: 0o640}
	right := FileState{Present: true, Mode: 0o640, GID: 7, Size: 1, Digest: content.Digest()}
	with := func(change func(*FileState)) FileState { f := right; change(&f); return f }
	for _, c := range []struct {
		name string
		file FileState
		want string
	}{
		{"right", right, "in place []"},
		{"none", FileState{}, "missing []"},
		{"a pipe", FileState{Obstacle: "a FIFO"}, "differs [] (a FIFO is there, not a regular file)"},
		{"another content", with(func(f *FileState) { f.Digest = secret.New([]byte("w")).Digest() }), "differs [] (its content is not what its source gives)"},
		{"another length", with(func(f *FileState) { f.Size, f.Digest = 2, secret.Digest{} }), "differs [] (its content is not what its source gives)"},
		{"another owner", with(func(f *FileState) { f.UID, f.GID = 3, 3 }), "wrong owner or mode [owner group]"},
		{"another mode", with(func(f *FileState) { f.Mode = 0o644 }), "wrong owner or mode [mode]"},
		{"an access list", with(func(f *FileState) { f.ACL = true }), "wrong owner or mode [access list]"},
		{"all wrong", with(func(f *FileState) { f.Mode, f.Size = 0o644, 5 }), "differs [mode] (its content is not what its source gives)"},
	} {
		seen := Observed{Users: map[string]int{"root": 0}, Groups: map[string]int{"keys": 7}, Files: map[string]FileState{"/run/keys/k": c.file}}
		got := StandingOf([]WantedKey{{Key: key, Size: 1, Digest: content.Digest()}}, true, seen)[0]
		text := fmt.Sprintf("%s %v", got.Is, got.Wrong)
		if got.Note != "" {
			text += " (" + got.Note + ")"
		}
		if text != c.want || got.Drifts() != !strings.HasPrefix(c.want, "in place") {
			t.Errorf("%s: %q, want %q", c.name, text, c.want)
		}
	}
	seen := Observed{Files: map[string]FileState{"/run/keys/k": right}}
	if got := StandingOf([]WantedKey{{Key: key, Size: -1}}, false, seen)[0]; got.Is != WrongOwner || got.Compared != WithNothing || len(got.Wrong) != 2 {
		t.Errorf("a host with neither owner nor memory: %+v", got)
	}
}
