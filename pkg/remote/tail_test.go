package remote

import (
	"strings"
	"testing"
)

func TestWhatACommandSaysIsKeptInBoundedMemory(t *testing.T) {
	said := &tail{}
	for _, text := range []string{strings.Repeat("x", 1_000_000), "", strings.Repeat("y", tailSize-4), "\nend", "ed"} {
		if n, err := said.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if cap(said.text) > 4*tailSize {
			t.Fatalf("%d bytes of memory for the last %d", cap(said.text), tailSize)
		}
	}
	for range 100_000 {
		said.Write([]byte("z"))
	}
	said.Write([]byte("\nended\n"))
	if got, want := said.String(), strings.Repeat("z", tailSize-len("\nended\n"))+"\nended"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
