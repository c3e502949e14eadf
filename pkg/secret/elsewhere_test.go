package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// lying is a secret that was content when it was measured, and is what reader tells when
// it is sent.
func lying(t *testing.T, content string, reader io.Reader) Secret {
	t.Helper()
	size, digest, err := Measure(strings.NewReader(content))
	if err != nil || size != int64(len(content)) {
		t.Fatal(size, err)
	}
	return Elsewhere(size, digest, func(context.Context) (io.ReadCloser, error) { return io.NopCloser(reader), nil })
}

func TestContentElsewhereIsSentAndIsWhatItWas(t *testing.T) {
	content := "\x00\xff" + strings.Repeat("hunter2", 1<<18)
	s, held := lying(t, content, strings.NewReader(content)), New([]byte(content))
	if s.Len() != len(content) || !s.Digest().Equal(held.Digest()) || !s.Equal(held) || !held.Equal(s) {
		t.Error("it is not the same as one in memory")
	}
	for _, s := range []Secret{s, held} {
		var sent bytes.Buffer
		if err := s.Send(t.Context(), &sent); err != nil || sent.String() != content {
			t.Errorf("%v, %d bytes", err, sent.Len())
		}
	}
	s.Wipe()
	if shown := fmt.Sprintf("%v %+v %#v %s %x", s, s, struct{ S Secret }{s}, s, s); strings.Contains(shown, "hunter2") {
		t.Error(shown)
	}
	defer func() {
		if recover() == nil {
			t.Error("it was revealed")
		}
	}()
	s.Reveal()
}

func TestContentThatIsAnotherNowIsNotSentAsTheSecret(t *testing.T) {
	const content = "hunter2 and more"
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		now  io.Reader
		want error
	}{
		"shorter":    {strings.NewReader("hunter2"), ErrChanged},
		"empty":      {strings.NewReader(""), ErrChanged},
		"longer":     {strings.NewReader(content + "x"), ErrChanged},
		"another":    {strings.NewReader("Hunter2 and more"), ErrChanged},
		"unreadable": {iotest.ErrReader(broken), broken},
		"cut":        {io.MultiReader(strings.NewReader("hunter2"), iotest.ErrReader(broken)), broken},
	} {
		var sent bytes.Buffer
		err := lying(t, content, c.now).Send(t.Context(), &sent)
		var source *SourceError
		if !errors.Is(err, c.want) || !errors.As(err, &source) || strings.Contains(err.Error(), "hunter2") || sent.Len() > len(content) {
			t.Errorf("%s: %v after %d bytes", name, err, sent.Len())
		}
	}
	reader, writer := io.Pipe()
	reader.CloseWithError(broken)
	var source *SourceError
	if err := lying(t, content, strings.NewReader(content)).Send(t.Context(), writer); !errors.Is(err, broken) || errors.As(err, &source) {
		t.Errorf("where it cannot be written: %v", err)
	}
	away := Elsewhere(1, Digest{}, func(context.Context) (io.ReadCloser, error) { return nil, broken })
	if err := away.Send(t.Context(), io.Discard); !errors.Is(err, broken) || !errors.As(err, &source) {
		t.Errorf("where it cannot be opened: %v", err)
	}
}
