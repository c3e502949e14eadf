package hostile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/status"
)

func TestAHostThatLiesOfWhatItIsLikeFailsAlone(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(s *session)
		says string
	}{
		"without end":         {func(s *session) { pour(s, "unit x.service\n") }, "says more than it was asked"},
		"a line without end":  {func(s *session) { pour(s, "x") }, "says more than it was asked"},
		"nothing":             {func(*session) {}, "status 1"},
		"stderr without end":  {func(s *session) { pour(s.Stderr(), "no ") }, "status 1"},
		"an answer cut short": {func(s *session) { fmt.Fprint(s, "now 1\nsystem current /nix/store/x\n"); s.Close() }, "asking the host what it is like"},
		"silence, and no end": {func(s *session) { <-s.ended }, "enough"},
		"half, and no end":    {func(s *session) { fmt.Fprint(s, "now 1\n"); <-s.ended }, "enough"},
		"text for who reads":  {func(s *session) { fmt.Fprint(s, "\x1b[2J\x1b]0;x\x07\n.\n"); s.Close() }, "asking the host what it is like"},
	} {
		t.Run(name, func(t *testing.T) {
			host := dialled(t, proven(c.harm))
			limit := 20 * time.Second
			if c.says == "enough" {
				limit = 300 * time.Millisecond
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errors.New("enough"))
			defer cancel()
			bounded(t, c.says, func() error {
				_, err := status.Ask(ctx, host, []string{"/run/keys/a"})
				if err != nil && strings.ContainsAny(err.Error(), "\x1b\x07\x00") {
					t.Errorf("%q", err)
				}
				return err
			})
		})
	}
}
