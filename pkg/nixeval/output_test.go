package nixeval

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// manyKeys is a hive without its meta: a node of 5,000 keys, whose names look like
// addresses with logins and other things that are searched for.
const manyKeys = `web.deployment = { targetHost = "h"; tags = [ "t" ]; keys = builtins.listToAttrs (builtins.genList (i: {
		name = "it's https://user:pa ss@host/?token=${toString i} @nix {\"a\": [\\";
		value = { name = "k${toString i}"; keyFile = "/run/keys of https://user:pass@host/?t=${toString i}"; };
	}) 5000); };`

// Each node is told to one who takes longer than a Nix that was interrupted has to end.
func TestAllThatNixPrintsIsReadHoweverLongThatTakes(t *testing.T) {
	for name, source := range map[string]func(t *testing.T) Source{
		"hive.nix": func(t *testing.T) Source { return hiveFile(t, "{ "+manyKeys+" }") },
		"flake":    func(t *testing.T) Source { return flake(t, "colmena = { meta.nixpkgs = pkgs; "+manyKeys+" };") },
	} {
		t.Run(name, func(t *testing.T) {
			var node hive.Node
			var wrong error
			err := New(Tool{}, source(t)).Run(t.Context(), Part{Most: 1}, Hooks{Done: func(text []byte) {
				time.Sleep(killGrace * 3 / 2)
				node, wrong = hive.DecodeNode(text)
			}})
			if err != nil || wrong != nil || len(node.Keys) != 5000 {
				t.Errorf("%v; %v; %d keys", err, wrong, len(node.Keys))
			}
		})
	}
}

// As git leaves an ssh running that others may share (ControlPersist).
func TestWhatNixLeavesRunningHoldsNobody(t *testing.T) {
	source := hiveFile(t, `{ web = { }; }`)
	real, err := exec.LookPath("nix-instantiate")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nsleep 1000 & echo $! >'%s/pid'\nexec %s \"$@\"\n", dir, real)
	if err := os.WriteFile(filepath.Join(dir, "nix-instantiate"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	h, err := evaluated(t, Tool{}, source, Request{})
	if err != nil || len(h.Nodes) != 1 {
		t.Errorf("%v: %d nodes", err, len(h.Nodes))
	}
	text, err := os.ReadFile(filepath.Join(dir, "pid"))
	if pid, _ := strconv.Atoi(strings.TrimSpace(string(text))); err != nil || syscall.Kill(pid, syscall.SIGKILL) != nil {
		t.Errorf("process %s is gone: %v", text, err)
	}
}
