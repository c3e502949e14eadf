package outfile

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func write(t *testing.T, path string, mode fs.FileMode, text string) {
	t.Helper()
	f, err := New(path, mode)
	if err == nil {
		err = f.Write([]byte(text))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAFileIsReplacedAsAWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report.html")
	f, err := New(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it is there before it is written")
	}
	for _, text := range []string{"one", "two"} {
		if err := f.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestItsModeIsAsAskedOrAsItWas(t *testing.T) {
	dir := t.TempDir()
	mode := func(path string) fs.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	for _, want := range []fs.FileMode{0o600, 0o644} {
		path := filepath.Join(dir, want.String())
		write(t, path, want, "")
		if got := mode(path); got != want {
			t.Errorf("a new file has %s, not %s", got, want)
		}
	}
	shared := filepath.Join(dir, "shared")
	write(t, shared, 0o600, "")
	if err := os.Chmod(shared, 0o640); err != nil {
		t.Fatal(err)
	}
	write(t, shared, 0o600, "")
	if got := mode(shared); got != 0o640 {
		t.Errorf("a file that was there has %s", got)
	}
}

func TestALinkIsReplacedItself(t *testing.T) {
	dir := t.TempDir()
	other, link := filepath.Join(dir, "other"), filepath.Join(dir, "link")
	if err := os.WriteFile(other, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, link); err != nil {
		t.Fatal(err)
	}
	write(t, link, 0o600, "report")
	if got, _ := os.ReadFile(other); string(got) != "precious" {
		t.Errorf("what the link led to is %q", got)
	}
	if info, err := os.Lstat(link); err != nil || !info.Mode().IsRegular() {
		t.Errorf("%v, %v", info, err)
	}
}

func TestWhatCannotBeWrittenIsToldAtTheBeginning(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		"":                                   "the file name is empty",
		dir:                                  "is a folder: name a file in it",
		"/dev/null":                          "is not a regular file",
		"/dev/null/report":                   "/dev/null is not a directory",
		filepath.Join(dir, "none", "report"): "none is not there: make it first",
		"/proc/report":                       "/proc/report cannot be written: no file can be made in its folder: ",
	} {
		if _, err := New(path, 0o600); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", path, err, want)
		}
	}
}

// Whoever has a file there may have it open to all; what we write is not for all.
func TestAFileOfAnothersIsReplacedByOneAsAsked(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make files of others")
	}
	path := filepath.Join(t.TempDir(), "report")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o666), os.Chown(path, 1234, 1234)); err != nil {
		t.Fatal(err)
	}
	write(t, path, 0o600, "text")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if stat := info.Sys().(*syscall.Stat_t); info.Mode().Perm() != 0o600 || stat.Uid != 0 || stat.Gid == 1234 {
		t.Errorf("%s of %d:%d", info.Mode(), stat.Uid, stat.Gid)
	}
}

func TestWhatCannotBeReplacedLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	f, err := New(filepath.Join(dir, "report"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(f.Path(), 0o700); err != nil { // meanwhile
		t.Fatal(err)
	}
	if err := f.Write([]byte("text")); err == nil || !strings.Contains(err.Error(), "report cannot be written: ") {
		t.Errorf("%v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

// own names a file for a run of these tests as somebody without root's powers.
const own = "COLMENA_GO_TEST_OWN_FILE"

// nobody has no group but their own.
const nobody = 65534

// The file is of a group that its owner has left: a new one cannot be given to it.
func TestAnotherGroupMayNotReadWhatTheOldOneCould(t *testing.T) {
	if path := os.Getenv(own); path != "" {
		write(t, path, 0o600, "new")
		return
	}
	if os.Getuid() != 0 {
		t.Skip("giving files away needs root")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "report.html")
	if err := errors.Join(
		os.Chmod(filepath.Dir(dir), 0o755), os.Chown(dir, nobody, nobody),
		os.WriteFile(path, []byte("old"), 0o600), os.Chown(path, nobody, 12345), os.Chmod(path, 0o664),
	); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), own+"="+path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	if text, _ := os.ReadFile(path); string(text) != "new" || stat.Gid != nobody || info.Mode().Perm() != 0o604 {
		t.Errorf("%q of group %d, %s", text, stat.Gid, info.Mode())
	}
}
