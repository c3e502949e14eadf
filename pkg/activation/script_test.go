package activation

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatIsQuotedInTheScriptHoldsNoQuote(t *testing.T) {
	names, err := fs.Glob(rooms, "unit/*.sh")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := rooms.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("'")) {
			t.Errorf("%s holds a single quote, which would end the string that it is put into", name)
		}
		if !bytes.Contains(hostScript, bytes.TrimSpace(text)) {
			t.Errorf("%s is not in the host's script", name)
		}
	}
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, hostScript, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sh", "-n", path).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// A host that was up for long has given a number to another process by now.
func TestALaterProcessOfTheSameNumberIsNotTheSwitch(t *testing.T) {
	text, err := rooms.ReadFile("unit/alive.sh")
	if err != nil {
		t.Fatal(err)
	}
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	behindName := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	began := behindName[19] // starttime, proc_pid_stat(5)
	for begun, want := range map[string]bool{
		fmt.Sprintf("%d %s", os.Getpid(), began):  true,
		fmt.Sprintf("%d 1%s", os.Getpid(), began): false,
		fmt.Sprintf("%d", os.Getpid()):            false,
		"4194305 " + began:                        false, // beyond pid_max
		"":                                        false,
		"self " + began + "0":                     false,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "begun"), []byte(begun+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-uc", string(text)+"\nalive \"$1\"", "sh", dir)
		if got := cmd.Run() == nil; got != want {
			t.Errorf("%q: alive %v, want %v", begun, got, want)
		}
	}
}
