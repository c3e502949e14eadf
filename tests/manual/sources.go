package manual

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// Sources has flakes of pages take this project and nixpkgs from here.
func Sources(t *testing.T) *strings.Replacer {
	t.Helper()
	project := filepath.Join(t.TempDir(), "colmena-go")
	out, err := exec.Command("sh", "-euc", `cd ../..
mkdir "$1"
git ls-files --cached --others --exclude-standard >"$1.list"
tar -c --ignore-failed-read -T "$1.list" 2>/dev/null | tar -x -C "$1"`, "sh", project).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.NewReplacer("github:NixOS/nixpkgs/nixos-26.05", "path:"+nixenv.Nixpkgs(t), "github:colmena-go/colmena-go", "path:"+project)
}
