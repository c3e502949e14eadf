package remote

import (
	"os/exec"
	"strings"
	"testing"
)

// A word of deployment.privilegeEscalationCommand reaches the program as it is,
// whatever the login shell.
func FuzzQuote(f *testing.F) {
	var shells []string
	for _, shell := range []string{"sh", "bash", "fish"} {
		if _, err := exec.LookPath(shell); err == nil {
			shells = append(shells, shell)
		}
	}
	for _, word := range []string{"sudo", "-H", "", "a b", "it's", `back\slash`, `\'`, "$(id)", "`id`", "~", "*", "#x", "new\nline", "ü", `\\'\`} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		if strings.ContainsRune(word, 0) || !strings.Contains(strings.ToValidUTF8(word, "\x00"), word) {
			t.Skip("no argument can hold it, or no shell's script")
		}
		for _, shell := range shells {
			out, err := exec.Command(shell, "-c", "printf %s. "+quote(word)).Output()
			if err != nil || string(out) != word+"." {
				t.Errorf("%s: %q became %q: %v", shell, word, out, err)
			}
		}
	})
}
