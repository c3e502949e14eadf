package nixbuild

import (
	"errors"
	"io"
	"testing"
)

func TestAnInboxNeverHasTheWriterWait(t *testing.T) {
	b := newInbox(10)
	for range 2 {
		if n, err := b.Write([]byte("12345")); n != 5 || err != nil {
			t.Fatal(n, err)
		}
	}
	if _, err := b.Write([]byte("6")); !errors.Is(err, errTooMuch) {
		t.Errorf("more than there is room for: %v", err)
	}
	b.close(io.ErrUnexpectedEOF)
	if _, err := b.Write(nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("after the end: %v", err)
	}
	if got, err := io.ReadAll(b); string(got) != "1234512345" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q, %v", got, err)
	}
}
