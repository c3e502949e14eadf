package ask

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestAnAnswerComesThroughAFileDescriptorOnce(t *testing.T) {
	for text, want := range map[string]struct {
		answer string
		err    error
	}{
		"open sesame\nmore":               {"open sesame", nil},
		"no end":                          {"no end", nil},
		"\n":                              {"", nil},
		"":                                {"", ErrNoAnswer},
		strings.Repeat("x", maxAnswer+10): {"", ErrNoAnswer},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		fd, err := syscall.Dup(int(r.Fd()))
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		w.WriteString(text)
		w.Close()
		answer, err := FromFD(t.Context(), fd)
		if string(answer.Reveal()) != want.answer || !errors.Is(err, want.err) {
			t.Errorf("%.20q: %.20q, %v", text, answer.Reveal(), err)
		}
		if _, err := FromFD(t.Context(), fd); !errors.Is(err, ErrNoAnswer) || !strings.Contains(err.Error(), "is not open") {
			t.Errorf("it is still there: %v", err)
		}
	}
}
