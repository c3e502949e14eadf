package secret

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestASaltedDigestRecognisesItsOwnAndNoOther(t *testing.T) {
	a, b := New([]byte("a")).Digest(), New([]byte("b")).Digest()
	one, two := a.Salted(), a.Salted()
	if !one.Of(a) || !two.Of(a) || one.Of(b) || one.Of(Digest{}) {
		t.Error("it recognises the wrong ones")
	}
	if one.Reveal() == two.Reveal() || strings.Contains(one.Reveal(), a.Reveal()[:16]) {
		t.Error("two of one digest are alike")
	}
	back, err := ParseSalted(one.Reveal())
	if err != nil || !back.Of(a) || back.Of(b) {
		t.Errorf("it does not survive the wire: %v", err)
	}
	if none := (Salted{}); none.Of(a) || none.Of(Digest{}) || (Digest{}).Salted().Of(a) {
		t.Error("none recognises one")
	}
	for _, bad := range []string{"", ":", "hunter2", one.Reveal() + "A", strings.Replace(one.Reveal(), ":", "", 1), "!" + one.Reveal()[1:]} {
		if _, err := ParseSalted(bad); err == nil || bad != "" && bad != ":" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestNothingPrintsASaltedDigest(t *testing.T) {
	s := New([]byte(planted)).Digest().Salted()
	salt, sum, _ := strings.Cut(s.Reveal(), ":")
	var shown strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&shown, verb+verb+"\n", s, struct{ S, hidden Salted }{s, s})
	}
	shown.WriteString(s.String() + s.GoString())
	if text := shown.String(); strings.Contains(text, salt) || strings.Contains(text, sum) {
		t.Error("it is shown")
	}
	if _, err := json.Marshal(s); !errors.Is(err, ErrMarshal) {
		t.Errorf("marshalled: %v", err)
	}
	if _, err := s.MarshalText(); !errors.Is(err, ErrMarshal) {
		t.Errorf("has a text: %v", err)
	}
}
