package secret

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

const planted = "hunter2"

type holder struct {
	Open   Secret
	Digest Digest
	hidden Secret
	ptr    *Secret
}

func TestNothingPrintsASecret(t *testing.T) {
	s := New([]byte(planted))
	h := holder{s, s.Digest(), s, &s}
	hex := s.Digest().Reveal()
	var shown strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&shown, verb+" "+verb+" "+verb+" "+verb+"\n", s, &s, h, &h)
		fmt.Fprintf(&shown, verb+"\n", s.Digest())
	}
	shown.WriteString(s.String() + s.GoString() + s.Digest().String() + s.Digest().GoString())
	log := zerolog.New(&shown)
	log.Info().Interface("key", s).Interface("holder", h).Any("digest", s.Digest()).Stringer("s", s).Msg("")
	for _, leak := range []string{planted, fmt.Sprintf("%x", planted), hex[:12], "104 117 110"} {
		if strings.Contains(strings.ToLower(shown.String()), leak) {
			t.Errorf("shown: %s", leak)
		}
	}
	if !strings.Contains(fmt.Sprintf("%s!", planted), planted) {
		t.Error("the search finds nothing at all")
	}
}

func TestASecretCannotBeMarshalled(t *testing.T) {
	s := New([]byte(planted))
	for _, value := range []any{s, &s, s.Digest(), holder{Open: s}, map[string]any{"k": s}} {
		if _, err := json.Marshal(value); !errors.Is(err, ErrMarshal) {
			t.Errorf("%T: %v, want ErrMarshal", value, err)
		}
	}
}

// What encoders of other formats than JSON, and keys of maps, go through.
func TestASecretHasNoText(t *testing.T) {
	s := New([]byte(planted))
	for _, value := range []encoding.TextMarshaler{s, &s, s.Digest(), Secret{}, Digest{}} {
		if text, err := value.MarshalText(); !errors.Is(err, ErrMarshal) || len(text) > 0 {
			t.Errorf("%T: %q, %v; want ErrMarshal", value, text, err)
		}
	}
}

func TestASecretIsReadFromAJSONStringOnly(t *testing.T) {
	var s Secret
	if err := json.Unmarshal([]byte(`"a\nb"`), &s); err != nil || string(s.Reveal()) != "a\nb" {
		t.Errorf("%v", err)
	}
	err := json.Unmarshal([]byte(`{"hunter2": 1}`), &s)
	if err == nil || strings.Contains(err.Error(), planted) {
		t.Errorf("error %v, want one that does not quote the input", err)
	}
}

func TestDigestsAreReadBackAndCompared(t *testing.T) {
	a, b := New([]byte("a")).Digest(), New([]byte("b")).Digest()
	if back, err := ParseDigest(a.Reveal()); err != nil || !back.Equal(a) || back.Equal(b) {
		t.Error("a digest does not survive the wire")
	}
	if none := (Digest{}); none.Equal(none) || none.Equal(a) || a.Equal(none) {
		t.Error("no digest equals one")
	}
	for _, bad := range []string{"", "00", strings.Repeat("zz", 32)} {
		if _, err := ParseDigest(bad); err == nil {
			t.Errorf("%q was taken for a digest", bad)
		}
	}
}
