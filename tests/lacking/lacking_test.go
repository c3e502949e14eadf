package lacking

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhatIsSkippedIsListed(t *testing.T) {
	list := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(list, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(ListEnv, list)
	t.Run("it", func(t *testing.T) { Skip(t, "needs fish: ", os.ErrNotExist) })
	want := "TestWhatIsSkippedIsListed/it: needs fish: file does not exist\n"
	if got, err := os.ReadFile(list); err != nil || string(got) != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}
