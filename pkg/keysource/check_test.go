package keysource

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

func TestWhatIsMissingIsToldWithoutRunningAnything(t *testing.T) {
	dir := t.TempDir()
	pipe, ran, file := filepath.Join(dir, "pipe"), filepath.Join(dir, "ran"), filepath.Join(dir, "file")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("v"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key  hive.Key
		says string
	}{
		"all is well":                {hive.Key{File: file}, ""},
		"a program that is there":    {command("touch", ran), ""},
		"a program not yet built":    {command("/nix/store/00000000000000000000000000000000-sops/bin/sops"), ""},
		"a file not yet built":       {hive.Key{File: "/nix/store/00000000000000000000000000000000-secret"}, ""},
		"a text":                     {text("t"), ""},
		"a missing file":             {hive.Key{File: dir + "/none"}, "no such file"},
		"a pipe":                     {hive.Key{File: pipe}, "is a FIFO"},
		"a missing program":          {command("no-such-program", "s3cret"), "there is no program no-such-program in PATH"},
		"a program by path":          {command(dir+"/none", "s3cret"), "no such file"},
		"a program not to be run":    {command(file, "s3cret"), "permission denied"},
		"the secret in its place":    {command("s3cret-of-many-bytes"), "first word, one of 20 bytes, is not a program in PATH"},
		"a long one with a slash":    {command("s3cret/of/many-bytes"), "a word of 20 bytes: no such file"},
		"a variable and a command":   {command("TOKEN=s3cret vault read"), `in its name, TOKEN …: keyCommand is a list of words`},
		"a variable alone":           {command("TOKEN=s3cret", "vault"), `in its name, TOKEN …: keyCommand is a list of words`},
		"a secret and a command":     {command("s3cret-of-many-bytes vault read"), `in its name, a word of 20 bytes …: keyCommand is a list of words`},
		"a command line as one word": {command("cat /s3cret"), `list of words, such as [ "cat" "/etc/hostname" ]`},
	} {
		t.Run(name, func(t *testing.T) {
			key := c.key
			key.Attr = "k"
			err := new(Resolver).Check(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{text("fine"), key}})
			if (err == nil) != (c.says == "") {
				t.Fatalf("error %v, want one that says %q", err, c.says)
			}
			if err == nil {
				return
			}
			if text := err.Error(); !strings.Contains(text, c.says) || !strings.Contains(text, `node "web": deployment.keys."k".key`) || strings.Contains(text, "s3cret") {
				t.Errorf("error %q, want one that says %q", text, c.says)
			}
		})
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a command was run")
	}
}
