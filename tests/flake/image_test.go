package flake_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/version"
	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// container is an image, unpacked, in which programs are run as an engine does.
type container struct {
	root   string
	config struct {
		Entrypoint, Env []string
		WorkingDir      string
	}
}

// unpack reads an archive of `docker save`.
func unpack(t *testing.T, archive string) *container {
	t.Helper()
	c, dir := &container{root: t.TempDir()}, t.TempDir()
	shell(t, `tar -xzf "$1" -C "$2"`, archive, dir)
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	read(t, filepath.Join(dir, "manifest.json"), &manifest)
	if len(manifest) != 1 || len(manifest[0].RepoTags) != 1 || manifest[0].RepoTags[0] != "colmena-go:"+version.Number {
		t.Fatalf("%+v", manifest)
	}
	var image struct {
		Config *struct {
			Entrypoint, Env []string
			WorkingDir      string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	read(t, filepath.Join(dir, manifest[0].Config), &image)
	c.config = *image.Config
	for i, layer := range manifest[0].Layers {
		sum := "sha256:" + shell(t, `sha256sum <"$1" | cut -d " " -f 1`, filepath.Join(dir, layer))
		if len(image.RootFS.DiffIDs) <= i || sum != image.RootFS.DiffIDs[i] {
			t.Errorf("layer %s is %s, and not as in %v", layer, sum, image.RootFS.DiffIDs)
		}
		shell(t, `tar -xpf "$1" -C "$2"`, filepath.Join(dir, layer), c.root)
	}
	t.Cleanup(func() { shell(t, `chmod -R u+w "$1"`, c.root) }) // so that it can be removed
	return c
}

// run runs the image's program on a hive, as `docker run -v HIVE:/hive` does.
func (c *container) run(t *testing.T, hive string, args ...string) (string, error) {
	t.Helper()
	return c.exec(t, hive, append(c.config.Entrypoint, args...)...)
}

func (c *container) exec(t *testing.T, hive string, argv ...string) (string, error) {
	t.Helper()
	// Not chroot alone, out of which Nix gets when it enters the namespace of mounts again.
	script := `root=$1 hive=$2; shift 2
mount --bind "$root" "$root"
mkdir -p "$root/proc" "$root/dev" "$root/hive" "$root/.outside"
mount -t proc proc "$root/proc"
mount -t tmpfs dev "$root/dev"
for device in null zero random urandom; do touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
mkdir "$root/dev/pts"; mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"; ln -s pts/ptmx "$root/dev/ptmx"
mount --bind "$hive" "$root/hive"
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
cd "$root"
pivot_root . .outside
exec .outside/usr/sbin/chroot . "$@"`
	// What the image's own shell does is to enter the folder, with the image's variables alone.
	inside := append([]string{"--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child=KILL", "--propagation=private", "sh", "-euc", script, "sh", c.root, hive,
		"/bin/bash", "-c", `cd "$0"; exec "$@"`, c.config.WorkingDir}, argv...)
	cmd := exec.Command("unshare", inside...)
	cmd.Env = c.config.Env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestTheImageRunsWhereNothingElseIs(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a container needs root")
	}
	project, nixpkgs := setUp(t)
	link := filepath.Join(t.TempDir(), "image")
	if out, err := nix(t, project, "build", "path:"+project+"#image", "--override-input", "nixpkgs", "path:"+nixpkgs, "--no-write-lock-file", "-o", link); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := unpack(t, link)
	hive := t.TempDir()
	shell(t, `cp -RL "$1" "$2/nixpkgs"; chmod -R u+w "$2"`, nixenv.Nixpkgs(t), hive)
	write(t, hive+"/hive.nix", `{ meta.nixpkgs = import ./nixpkgs { }; web = { deployment.targetHost = "127.0.0.1"; deployment.targetPort = 1;
  fileSystems."/".device = "/dev/vda1"; boot.loader.grub.enable = false; system.stateVersion = "26.05"; }; }`)

	for _, want := range []struct{ says, argv string }{
		{"colmena-go version " + version.Number, "version"},
		{"nix (Nix)", "nix-info"},
		{`"name": "web"`, "list --json"},
		{`/nix/store/`, "eval --instantiate -E ({nodes,...}:nodes.web.config.system.build.toplevel)"},
	} {
		if out, err := c.run(t, hive, strings.Fields(want.argv)...); err != nil || !strings.Contains(out, want.says) {
			t.Errorf("%s: %v\n%s", want.argv, err, out)
		}
	}
	// It resolves addresses, reads ssh's configuration and tries to connect.
	if out, err := c.run(t, hive, "upload-keys"); err == nil || !strings.Contains(out, "connection refused") {
		t.Errorf("upload-keys: %v\n%s", err, out)
	}
	for _, script := range []string{
		`nix-store --verify-path $(readlink -f /bin/colmena-go | cut -d / -f 1-4)`, // Nix knows what is in its store
		`nix-build --no-out-link -E 'derivation { name = "x"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo built >$out" ]; }'`,
		`cd /tmp && git init -q flake && cd flake && echo '{ outputs = _: { colmena = { meta.nixpkgs = throw "x"; }; }; }' >flake.nix && git add . && nix flake metadata`,
		`ssh -G web | while read -r name value; do [ "$name" != user ] || [ "$value" = root ]; done && cat /etc/ssl/certs/ca-bundle.crt && [ -w /tmp ] && [ -w /root ]`,
	} {
		if out, err := c.exec(t, hive, "/bin/bash", "-ec", script); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
}

func shell(t *testing.T, script string, args ...string) string {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-euc", script, "sh"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

func read(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
