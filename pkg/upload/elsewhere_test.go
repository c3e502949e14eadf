//go:build linux

package upload

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/secret"
)

// awayItem is a key whose content was one thing when it was looked at, and is another when
// it is sent.
func awayItem(t *testing.T, name string, then, now []byte) Item {
	t.Helper()
	size, digest, err := secret.Measure(bytes.NewReader(then))
	if err != nil {
		t.Fatal(err)
	}
	it := item(name, "")
	it.Content = secret.Elsewhere(size, digest, func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(now)), nil
	})
	return it
}

func TestContentOfAnySizeArrivesAsItIs(t *testing.T) {
	fresh(t)
	all := make([]byte, 64<<20)
	rand.NewChaCha8([32]byte{}).Read(all)
	var items []Item
	for i, size := range []int{0, 1, 511, 512, 513, 1 << 20, 64 << 20} {
		name := string(rune('a' + i))
		held := item("held-"+name, "")
		held.Content = secret.New(all[:size])
		items = append(items, awayItem(t, name, all[:size], all[:size]), held)
	}
	mustUpload(t, local{}, items...)
	for i, it := range items {
		content := all[:it.Content.Len()]
		if i%2 == 0 {
			onHost(t, it.Key.Path(), string(content), 0, 0, 0o600)
		}
	}
	tidy(t)
}

func TestAContentThatChangesMeanwhileChangesNoKey(t *testing.T) {
	long := []byte(strings.Repeat("old and hunter2 ", 20_000))
	for name, now := range map[string][]byte{"another": bytes.ToUpper(long), "shorter": long[1:], "longer": append(bytes.Clone(long), 'x'), "empty": nil} {
		fresh(t)
		mustUpload(t, local{}, item("a", "old"), item("big", "old"))
		begun := false
		req := Request{Keys: []Item{item("a", "new"), awayItem(t, "big", long, now), item("z", "new")}, Who: "test", Begin: func() { begun = true }}
		_, err := Run(t.Context(), local{}, req)
		if !errors.Is(err, secret.ErrChanged) || errors.Is(err, ErrUnknown) || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), `key "big"`) || begun {
			t.Errorf("%s: %v, begun: %v", name, err, begun)
		}
		onHost(t, "/run/keys/a", "old", 0, 0, 0o600)
		onHost(t, "/run/keys/big", "old", 0, 0, 0o600)
		tidy(t)
		mustUpload(t, local{}, item("a", "new"), awayItem(t, "big", long, long))
		onHost(t, "/run/keys/big", string(long), 0, 0, 0o600)
	}
}
