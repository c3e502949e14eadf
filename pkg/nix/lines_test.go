package nix

import (
	"strings"
	"testing"
)

func TestALineWithoutEndTakesLittleMemoryAndKeepsItsEnd(t *testing.T) {
	var heard []string
	lines := &LineWriter{Emit: func(line string) { heard = append(heard, line) }}
	part := []byte(strings.Repeat("x", 1<<16))
	for range 100 << 20 >> 16 {
		if _, err := lines.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := lines.Write([]byte("the end\nnext")); err != nil {
		t.Fatal(err)
	}
	lines.Flush()
	if len(heard) != 2 || len(heard[0]) > mostOfLine || !strings.HasSuffix(heard[0], "xthe end") || heard[1] != "next" {
		t.Errorf("%d lines", len(heard))
	}
	if size := cap(lines.rest); size > 4*mostOfLine {
		t.Errorf("%d bytes are kept", size)
	}
}
