package scratch

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

const holderEnv = "COLMENA_GO_SCRATCH_TEST_HOLDER"

// A process that has a folder with a socket in it until its input ends.
func TestMain(m *testing.M) {
	if os.Getenv(holderEnv) == "" {
		os.Exit(m.Run())
	}
	path, _, err := Dir()
	if err == nil {
		_, err = net.Listen("unix", filepath.Join(path, "s"))
	}
	if err != nil {
		panic(err)
	}
	fmt.Println(path)
	io.ReadAll(os.Stdin)
}

// holder starts such a process; end kills it.
func holder(t *testing.T) (path string, end func()) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holderEnv+"=1")
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("no folder was made")
	}
	end = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
		in.Close()
	})
	t.Cleanup(end)
	return lines.Text(), end
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestFoldersOfDeadProcessesAreSweptAndNoOthers(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base")
	elsewhere := filepath.Join(t.TempDir(), "mine")
	if err := errors.Join(os.Mkdir(base, 0o700), os.MkdirAll(filepath.Join(elsewhere, "x"), 0o700)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", base)
	alive, _ := holder(t)
	dead, kill := holder(t)
	kill()
	if !exists(dead) {
		t.Fatal("a killed process left nothing: there is nothing to sweep")
	}
	kept := map[string]error{}
	plant := func(name string, do func(path string) error) {
		path := filepath.Join(base, name)
		kept[path] = do(path)
	}
	plant(prefix+"link", func(path string) error { return os.Symlink(elsewhere, path) })
	plant(prefix+"file", func(path string) error { return os.WriteFile(path, nil, 0o600) })
	plant(prefix+"open", func(path string) error { return errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, 0o755)) })
	plant("other", func(path string) error { return os.Mkdir(path, 0o700) })
	if os.Getuid() == 0 {
		plant(prefix+"theirs", func(path string) error { return errors.Join(os.Mkdir(path, 0o700), os.Chown(path, 1234, 1234)) })
	}
	// A link in what is swept leads nowhere else.
	if err := os.Symlink(elsewhere, filepath.Join(dead, "link")); err != nil {
		t.Fatal(err)
	}
	sweep(base)
	if exists(dead) {
		t.Error("the dead process's folder is still there")
	}
	if !exists(filepath.Join(alive, "s")) {
		t.Error("a live process's folder was swept")
	}
	for path, err := range kept {
		if err != nil || !exists(path) {
			t.Errorf("%s was swept (%v)", path, err)
		}
	}
	if !exists(filepath.Join(elsewhere, "x")) {
		t.Error("a link was followed")
	}
}

func TestTheNextProcessSweeps(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dead, kill := holder(t)
	kill()
	if !exists(dead) {
		t.Fatal("a killed process left nothing: there is nothing to sweep")
	}
	next, _ := holder(t)
	if exists(dead) || !exists(next) {
		t.Errorf("the dead process's folder is there: %v; its own: %v", exists(dead), exists(next))
	}
}

func TestAFolderIsPrivateAndGoesWhenItIsRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	path, remove, err := Dir()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.WriteFile(filepath.Join(path, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	remove()
	if exists(path) {
		t.Error("it is still there")
	}
}

// Several deployers start at once, each sweeping while the others make theirs.
func TestNobodyLosesAFolderThatWasJustMade(t *testing.T) {
	base := t.TempDir()
	t.Setenv("TMPDIR", base)
	stop := make(chan struct{})
	var sweepers, all sync.WaitGroup
	for range 2 {
		sweepers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					sweep(base)
				}
			}
		})
	}
	for range 4 {
		all.Go(func() {
			for range 100 {
				path, remove, err := Dir()
				if err != nil {
					t.Error(err)
					return
				}
				if err := os.WriteFile(filepath.Join(path, "f"), nil, 0o600); err != nil || !exists(filepath.Join(path, "f")) {
					t.Error("the folder is gone: ", err)
				}
				remove()
			}
		})
	}
	all.Wait()
	close(stop)
	sweepers.Wait()
}

// Nix reads the path of a socket as part of a URI.
func TestAFolderIsWhereNixCanNameIt(t *testing.T) {
	for _, name := range []string{"plain", "a b", "50%", "a?b#c", "ü"} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("TMPDIR", dir)
		path, remove, err := Dir()
		if err != nil {
			t.Fatal(err)
		}
		if inside := filepath.Dir(path) == dir; inside != (name == "plain") || !uri.MatchString(path) {
			t.Errorf("with TMPDIR %s: %s", dir, path)
		}
		remove()
	}
}
