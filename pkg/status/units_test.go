package status

import (
	"fmt"
	"testing"
)

func TestStatesOfUnitsAreReadInTheOrderOfTheirNames(t *testing.T) {
	names := []string{"a-key.service", "b-key.service", "c-key.service"}
	for _, c := range []struct{ text, want string }{
		{"LoadState=loaded\nActiveState=active\n\nActiveState=inactive\nLoadState=not-found\n\nLoadState=loaded\nActiveState=failed\n.\n",
			"map[a-key.service:active b-key.service:not found c-key.service:failed]"},
		{".\n", "map[]"}, // without systemd
		{"", "map[]"},
		{"LoadState=loaded\nActiveState=active\n.\n", "map[]"},                            // of fewer than were asked about
		{"x\n\nActiveState=a\x1b[31mb\n\nActiveState=\n.\n", "map[b-key.service:a[31mb]"}, // nothing reaches a terminal
	} {
		if got := fmt.Sprint(readUnits(c.text, names)); got != c.want {
			t.Errorf("%q: %s, want %s", c.text, got, c.want)
		}
	}
}
