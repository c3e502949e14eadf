//go:build linux

package upload

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/plan"
)

// narrow is a host that takes no more arguments than Linux promises: 128 KiB.
type narrow struct{ local }

func (n narrow) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	return n.local.Run(ctx, "ulimit -s 512; "+command, stdin, stdout, stderr)
}

// More names than fit into the arguments of one program: 9000 anywhere, a
// thousand on such a host.
func TestAnyNumberOfLongNamesIsOneUpload(t *testing.T) {
	for _, shell := range shells {
		t.Run(shell, func(t *testing.T) {
			fresh(t)
			const n = 1000
			set := func(content string) (items []Item) {
				for i := range n {
					items = append(items, item(fmt.Sprintf("%04d%s", i, strings.Repeat("n", 240)), content, in("/srv/new/many")))
				}
				return items
			}
			deliver := func(items ...Item) plan.KeyPlan {
				t.Helper()
				steps, err := Run(t.Context(), narrow{local{shell: shell}}, Request{Keys: items, Who: "test"})
				if err != nil {
					t.Fatalf("upload: %.300v", err)
				}
				return steps
			}
			all := func(change plan.Change, items []Item) {
				t.Helper()
				for _, step := range deliver(items...) {
					if step.Change != change {
						t.Fatalf("%.4s… is %s, want %s", step.Key.Name, step.Change, change)
					}
				}
				tidy(t, "/srv/new/many")
			}
			old, next := set("old"), set("new")
			all(plan.Changed, old)
			all(plan.Unchanged, old)
			all(plan.Changed, next)
			if out, err := exec.Command("chmod", "-R", "u=rwX,go=rX", "/srv/new/many").CombinedOutput(); err != nil {
				t.Fatal(err, string(out))
			}
			all(plan.Mended, next)
			out, err := exec.Command("sh", "-c", "cd /srv/new/many; ls | wc -l; find . -type f -perm 600 -size 3c | wc -l; ls -U | sed 's/^/.\\//' | xargs cat | tr -d new | wc -c").CombinedOutput()
			if err != nil || strings.Join(strings.Fields(string(out)), " ") != "1000 1000 0" {
				t.Errorf("%s (%v)", out, err)
			}
			// One that fails undoes all, in whichever part it is.
			bad := append(set("bad"), item("bad", "v", in("/proc")))
			if _, err := upload(t, local{}, bad...); err == nil {
				t.Error("a key in /proc was delivered")
			}
			all(plan.Unchanged, next)
		})
	}
}
