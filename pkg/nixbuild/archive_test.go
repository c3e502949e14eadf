package nixbuild

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// dump is the archive that Nix makes of a folder with one of everything.
func dump(t *testing.T) []byte {
	t.Helper()
	nixenv.Use(t)
	dir := filepath.Join(t.TempDir(), "root")
	for _, name := range []string{"a/b", "(", ")"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"a/empty": "", "a/)": ")", "contents": "\x01\x00\x00\x00\x00\x00\x00\x00)\x00\x00\x00\x00\x00\x00\x00", "long": strings.Repeat("x", 100_001)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(")", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("nix-store", "--dump", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAnArchiveIsPassedOnToItsEndAndNoFurther(t *testing.T) {
	whole := dump(t)
	from := bufio.NewReader(io.MultiReader(bytes.NewReader(whole), strings.NewReader("the next")))
	var got bytes.Buffer
	if err := copyArchive(&got, from, int64(len(whole))); err != nil || !bytes.Equal(got.Bytes(), whole) {
		t.Errorf("%v: %d of %d bytes", err, got.Len(), len(whole))
	}
	if rest, _ := io.ReadAll(from); string(rest) != "the next" {
		t.Errorf("behind it: %q", rest)
	}
}

func TestAnArchiveOfAnotherSizeOrShapeIsAnError(t *testing.T) {
	whole := dump(t)
	pass := func(text []byte, size int) (int, error) {
		var got bytes.Buffer
		err := copyArchive(&got, bufio.NewReader(bytes.NewReader(text)), int64(size))
		return got.Len(), err
	}
	for _, size := range []int{0, 8, len(whole) - 8, len(whole) + 8} {
		if n, err := pass(whole, size); !errors.Is(err, errArchive) || n > size {
			t.Errorf("said to have %d bytes: %v after %d", size, err, n)
		}
	}
	for n := 0; n < len(whole); n += 1 + n/50 {
		if _, err := pass(whole[:n], len(whole)); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
	for _, text := range []string{strings.Repeat("\xff", 100), strings.Repeat("(", 100), "\x08\x00\x00\x00\x00\x00\x00\x00contents" + strings.Repeat("\xff", 20)} {
		if _, err := pass([]byte(text), 1000); !errors.Is(err, errArchive) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
