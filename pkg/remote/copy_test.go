package remote

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func TestAllIsCopiedHoweverItComes(t *testing.T) {
	for _, size := range []int{0, 1, fewBytes - 1, fewBytes, fewBytes + 1, manyBytes, 3*manyBytes + 7} {
		all := make([]byte, size)
		rand.Read(all)
		for name, from := range map[string]io.Reader{
			"at once": bytes.NewReader(all), "byte by byte": iotest.OneByteReader(bytes.NewReader(all)), "in halves": iotest.HalfReader(bytes.NewReader(all)),
			"with the end": iotest.DataErrReader(bytes.NewReader(all)),
		} {
			var to bytes.Buffer
			n, err := copyAll(&to, from)
			if err != nil || n != int64(size) || !bytes.Equal(to.Bytes(), all) {
				t.Errorf("%d bytes %s: %d, %v", size, name, n, err)
			}
		}
	}
}

func TestACopyEndsWithWhatGoesWrong(t *testing.T) {
	broken := errors.New("broken")
	if _, err := copyAll(io.Discard, io.MultiReader(bytes.NewReader(make([]byte, manyBytes)), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("reading: %v", err)
	}
	_, w := io.Pipe()
	w.CloseWithError(broken)
	if _, err := copyAll(w, bytes.NewReader(make([]byte, manyBytes))); err == nil {
		t.Error("writing: no error")
	}
}
