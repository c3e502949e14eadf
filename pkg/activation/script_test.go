package activation

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
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
