package cli

import "testing"

func TestColourFollowsTheFlagThenTheEnvironmentThenTheTerminal(t *testing.T) {
	const force, never, off = "CLICOLOR_FORCE", "NO_COLOR", "CLICOLOR"
	for _, c := range []struct {
		when     string
		terminal bool
		env      map[string]string
		want     bool
	}{
		{"auto", true, nil, true},
		{"auto", false, nil, false},
		{"always", false, map[string]string{never: "1", off: "0"}, true},
		{"never", true, map[string]string{force: "1"}, false},
		{"auto", true, map[string]string{never: "1"}, false},
		{"auto", true, map[string]string{never: ""}, true}, // https://no-color.org: when not empty
		{"auto", true, map[string]string{off: "0"}, false},
		{"auto", true, map[string]string{off: "1"}, true},
		{"auto", false, map[string]string{off: "1"}, false},
		{"auto", false, map[string]string{force: "1"}, true},
		{"auto", false, map[string]string{force: "0"}, false},
		{"auto", true, map[string]string{force: "0"}, true},
		{"auto", true, map[string]string{force: "0", off: "0"}, false},
		{"auto", false, map[string]string{force: "1", off: "0"}, true},
		{"auto", false, map[string]string{force: "1", never: "1"}, false},
		{"auto", true, map[string]string{"TERM": "dumb"}, false},
		{"auto", true, map[string]string{"TERM": "dumb", force: "1"}, true},
	} {
		if got := coloured(c.when, c.terminal, func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%s, terminal %t, %v: %t", c.when, c.terminal, c.env, got)
		}
	}
}
