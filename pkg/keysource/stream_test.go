package keysource

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// large is a file of so many bytes of any value.
func large(t testing.TB, size int) (key hive.Key, content []byte) {
	t.Helper()
	content = make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(content)
	key = hive.Key{Attr: "k", File: filepath.Join(t.TempDir(), "file")}
	if err := os.WriteFile(key.File, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return key, content
}

func TestAFileOfAnySizeIsSentAsItIs(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, inMemory - 1, inMemory, inMemory + 1, pieceSize, pieceSize + 1, 3*pieceSize - 1, MaxSize} {
		key, content := large(t, size)
		got, err := new(Resolver).Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{key}}, silent)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // to two hosts
			var sent bytes.Buffer
			if err := got["k"].Send(t.Context(), &sent); err != nil || !bytes.Equal(sent.Bytes(), content) {
				t.Errorf("of %d bytes %d are sent, %v", size, sent.Len(), err)
			}
		}
		if got["k"].Len() != size || !got["k"].Digest().Equal(secret.New(content).Digest()) {
			t.Errorf("%d bytes count as %d", size, got["k"].Len())
		}
	}
	key, _ := large(t, MaxSize+1)
	if _, err := new(Resolver).Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{key}}, silent); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
}

// The files are as large as can be, and what is kept of 20 of them is not.
func TestLargeFilesAreNotKeptInMemory(t *testing.T) {
	key, _ := large(t, MaxSize)
	before, after := new(runtime.MemStats), new(runtime.MemStats)
	runtime.GC()
	runtime.ReadMemStats(before)
	r := new(Resolver)
	var all []map[string]secret.Secret
	for range 20 {
		got, err := r.Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{key}}, silent)
		if err != nil {
			t.Fatal(err)
		}
		if err := got["k"].Send(t.Context(), io.Discard); err != nil {
			t.Fatal(err)
		}
		all = append(all, got)
	}
	runtime.ReadMemStats(after)
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 32<<20 || len(all) != 20 {
		t.Errorf("%d bytes were allocated for 20 times %d", taken, MaxSize)
	}
}

func TestAFileThatIsAnotherWhenItIsSentIsNotTheKey(t *testing.T) {
	for name, change := range map[string]func(path string, content []byte) error{
		"a byte":    func(path string, c []byte) error { c[len(c)/2]++; return os.WriteFile(path, c, 0o600) },
		"shorter":   func(path string, c []byte) error { return os.Truncate(path, int64(len(c)-1)) },
		"longer":    func(path string, c []byte) error { return os.WriteFile(path, append(c, 0), 0o600) },
		"gone":      func(path string, _ []byte) error { return os.Remove(path) },
		"a folder":  func(path string, _ []byte) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"too large": func(path string, _ []byte) error { return os.Truncate(path, MaxSize+1) },
	} {
		key, content := large(t, 300_000)
		got, err := new(Resolver).Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{key}}, silent)
		if err != nil {
			t.Fatal(err)
		}
		if err := change(key.File, content); err != nil {
			t.Fatal(err)
		}
		var source *secret.SourceError
		if err := got["k"].Send(t.Context(), io.Discard); !errors.As(err, &source) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFileThatIsSentEndsWithTheContext(t *testing.T) {
	key, _ := large(t, 300_000)
	stopped := errors.New("stopped")
	ctx, stop := context.WithCancelCause(t.Context())
	r := &Resolver{Timeout: time.Minute}
	got, err := r.Resolve(ctx, hive.Node{Name: "web", Keys: []hive.Key{key}}, silent)
	if err != nil {
		t.Fatal(err)
	}
	stop(stopped)
	if err := got["k"].Send(ctx, io.Discard); !errors.Is(err, stopped) {
		t.Errorf("%v", err)
	}
}
