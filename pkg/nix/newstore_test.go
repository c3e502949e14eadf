package nix

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// newStore has Nix use a store that nobody has used, and returns its folder.
func newStore(t *testing.T) string {
	t.Helper()
	nixenv.Use(t)
	dir := t.TempDir()
	for name, sub := range map[string]string{"NIX_STORE_DIR": "store", "NIX_STATE_DIR": "var", "NIX_LOG_DIR": "log"} {
		t.Setenv(name, filepath.Join(dir, sub))
	}
	return dir
}

func TestManyWhoUseANewStoreAtOnceDoNotDisturbEachOther(t *testing.T) {
	newStore(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			cmd := Tool{}.Command(t.Context(), "nix-store", "--gc", "--print-roots")
			if _, err := (Tool{}).Printed(t.Context(), cmd, nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// halfAStore is a new store as others find it who come too early, and the file that
// is to blame.
func halfAStore(t *testing.T) (schema string) {
	t.Helper()
	schema = filepath.Join(newStore(t), "var/db/schema")
	if err := os.MkdirAll(filepath.Dir(schema), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(schema, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestWhoFindsAStoreHalfMadeTriesAgain(t *testing.T) {
	schema := halfAStore(t)
	starts := 0
	var heard []string
	output := &LineWriter{Emit: func(line string) { heard = append(heard, line) }}
	cmd := Tool{}.Command(t.Context(), "nix-store", "--gc", "--print-roots", "--log-format", "internal-json")
	err := Tool{}.RunAs(t.Context(), cmd, output, func(int) {
		if starts++; starts == 2 {
			os.Remove(schema)
		}
	})
	if err != nil || starts < 2 || strings.Contains(strings.Join(heard, "\n"), "corrupt") {
		t.Errorf("%v after %d starts: %q", err, starts, heard)
	}
}

func TestAStoreThatStaysHalfMadeIsAnError(t *testing.T) {
	halfAStore(t)
	starts := 0
	cmd := Tool{}.Command(t.Context(), "nix-store", "--gc", "--print-roots")
	err := Tool{}.RunAs(t.Context(), cmd, &LineWriter{}, func(int) { starts++ })
	if err == nil || !strings.Contains(err.Error(), "schema") || !strings.Contains(err.Error(), "corrupt") || starts != tries {
		t.Errorf("%v after %d starts", err, starts)
	}
}

// The words of versions 2.8, 2.26 and 2.34, as they are on such a store.
func TestWhatVersionsSayOfAStoreThatIsBeingMadeIsKnown(t *testing.T) {
	const red, pink, off = `\u001b[31;1m`, `\u001b[35;1m`, `\u001b[0m`
	object := func(level, msg string) string {
		return `@nix {"action":"msg","column":null,"file":null,"level":` + level + `,"line":null,"msg":"` + msg + `","raw_msg":"x"}`
	}
	for _, c := range []struct {
		line           string
		halfMade, busy bool
	}{
		{`error: creating symlink from '/n/var/gcroots/profiles' to '/n/var/profiles': File exists`, true, false},
		{`error: creating symlink '/nix/var/nix/gcroots/profiles' -> '/nix/var/nix/profiles': File exists`, true, false},
		{object("0", red+"error:"+off+" creating symlink '"+pink+"/nix/var/nix/gcroots/profiles"+off+"' -> '"+pink+"/nix/var/nix/profiles"+off+"': "+pink+"File exists"+off), true, false},
		{object("0", red+"error:"+off+" '/nix/var/nix/db/schema' is corrupt"), true, false},
		{"error: '/nix/var/nix/db/schema' is corrupt", true, false},
		{`error: "/nix/var/nix/db/schema" is corrupt`, true, false},
		{object("1", pink+"warning:"+off+" "+red+"error:"+off+" SQLite database '"+pink+"/nix/var/nix/db/db.sqlite"+off+"' is busy"), false, true},
		{"warning: error: SQLite database '/nix/var/nix/db/db.sqlite' is busy", false, true},
		// What others say.
		{object("0", red+"error:"+off+" creating symlink '/etc/x': File exists"), false, false},
		{object("0", "trace: error: '/db/schema' is corrupt"), false, false},
		{object("1", pink+"warning:"+off+" the SQLite database 'x' is busy"), false, false},
		{`@nix {"action":"result","fields":["error: '/db/schema' is corrupt"],"id":1,"level":0,"type":101}`, false, false},
	} {
		var heard []string
		o := &opening{emit: func(line string) { heard = append(heard, line) }}
		o.line(c.line)
		if len(o.halfMade) > 0 != c.halfMade || o.busy > 0 != c.busy || len(heard) > 0 != (!c.busy && !c.halfMade) {
			t.Errorf("%s\nis %+v and told %d times", c.line, o, len(heard))
		}
	}
}

// Nix says so every 10 s.
func TestAStoreThatIsBusyForLongIsTold(t *testing.T) {
	const line = "warning: error: SQLite database '/nix/var/nix/db/db.sqlite' is busy"
	var heard []string
	o := &opening{emit: func(line string) { heard = append(heard, line) }}
	o.line(line)
	o.line(line)
	if len(heard) != 1 {
		t.Errorf("%q", heard)
	}
}

func TestWhatHasPrintedIsNotRunAgain(t *testing.T) {
	starts := 0
	cmd := Tool{}.Command(t.Context(), "sh", "-c", `echo out; echo "error: '/nix/var/nix/db/schema' is corrupt" >&2; exit 1`)
	var out strings.Builder
	cmd.Stdout = &out
	var failure *Failure
	err := Tool{}.RunAs(t.Context(), cmd, &LineWriter{}, func(int) { starts++ })
	if !errors.As(err, &failure) || !strings.Contains(err.Error(), "corrupt") || starts != 1 || out.String() != "out\n" {
		t.Errorf("%v after %d starts; %q", err, starts, out.String())
	}
}
