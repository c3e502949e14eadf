package nixbuild

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

// answering is a store that gives these answers, whatever is asked: numbers, texts, and
// lists of texts.
func answering(answers ...any) serving {
	var text bytes.Buffer
	w := bufio.NewWriter(&text)
	for _, answer := range answers {
		switch answer := answer.(type) {
		case int:
			writeNumbers(w, uint64(answer))
		case string:
			writeText(w, answer)
		case []string:
			writeTexts(w, answer)
		}
	}
	w.Flush()
	return serving{in: io.Discard, out: bufio.NewReader(&text), greeted: true}
}

// A host may say of a path what it likes; in its own store it may ask for signatures.
func TestAPathIsAnnouncedWithAllThatIsKnownOfIt(t *testing.T) {
	info := pathInfo{references: []string{"/nix/store/a", "/nix/store/b"}, size: 42,
		pathOrigin: pathOrigin{deriver: "/nix/store/c.drv", hash: "sha256:x", address: "fixed:y", signatures: []string{"one:1", "two:2"}}}
	var said bytes.Buffer
	w := bufio.NewWriter(&said)
	writeAdd(w, "/nix/store/p", info)
	w.Flush()
	s := serving{out: bufio.NewReader(&said)}
	var got []any
	number := func() { n, err := s.number(1 << 32); got = append(got, int(n), err) }
	text := func() { t, err := s.text(); got = append(got, t, err) }
	texts := func() { t, err := s.texts(10); got = append(got, t, err) }
	for _, read := range []func(){number, text, text, text, texts, number, number, number, texts, text} {
		read()
	}
	want := []any{serveAdd, nil, "/nix/store/p", nil, info.deriver, nil, info.hash, nil, info.references, nil, 0, nil, 42, nil, 0, nil, info.signatures, nil, info.address, nil}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestAPathThatIsNotConfirmedWasNotCopied(t *testing.T) {
	nothing := func() error { return nil }
	for name, c := range map[string]struct {
		answers []any
		want    string // "" for no error
		cut     bool
	}{
		"both":               {[]any{1, 1}, "", false},
		"the second is not":  {[]any{1, 0}, "the host's Nix does not confirm a path", false},
		"neither yes nor no": {[]any{2, 1}, "at most 1 makes sense", false},
		"it hangs up":        {[]any{1}, "EOF", true},
	} {
		ctx, end := context.WithCancelCause(t.Context())
		s := &HostStore{serving: answering(c.answers...), end: end}
		err := s.confirmed(nothing, 2)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if ended := ctx.Err() != nil; ended != (err != nil && !c.cut) {
			t.Errorf("%s: the session ended: %v", name, ended)
		}
		end(nil)
	}
}

func TestWhatAHostSaysThatASystemNeedsIsInItsStore(t *testing.T) {
	top := "/nix/store/" + strings.Repeat("a", 32) + "-nixos-system-x"
	other := "/nix/store/" + strings.Repeat("b", 32) + "-x"
	for needs, want := range map[string]string{
		other:                          "EOF", // it is asked about them
		"/etc/" + other[len("/nix/"):]: "is no path of its store",
		"/nix/store/shadow":            "is no path of its store",
		"/nix/store/../" + other:       "is no path of its store",
		"/nix/store/\x1b[2J":           "is no path of its store",
	} {
		s := answering([]string{top}, []string{top, needs})
		if sizes, err := s.sizes(top); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %v, %v", needs, sizes, err)
		}
	}
	s := answering([]string{})
	if sizes, err := s.sizes(top); sizes != nil || err != nil {
		t.Errorf("what is not there needs %v, %v", sizes, err)
	}
	s = answering([]string{top}, []string{other}, other, "", []string{}, 0, 5, "", "", []string{}, "")
	if _, err := s.sizes(top); err == nil || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "not to need itself") {
		t.Errorf("%v", err)
	}
}
