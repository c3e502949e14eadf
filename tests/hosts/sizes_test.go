//go:build linux

package hosts_test

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// memoryOf runs the program, and returns how many bytes of memory it took at most.
func (d *deployer) memoryOf(args ...string) int64 {
	d.t.Helper()
	cmd := d.command(args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		d.t.Fatalf("%v: %s", err, out)
	}
	return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
}

func TestALargeKeyFileTakesNoMemoryHoweverManyHostsGetIt(t *testing.T) {
	const hosts, size = 4, 64 << 20
	d := deploying(t, hosts)
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(content)
	file := filepath.Join(d.dir, "large")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	var small, large strings.Builder
	for i := 1; i <= hosts; i++ {
		fmt.Fprintf(&small, "host%d.deployment.keys.k.text = \"small\";\n", i)
		fmt.Fprintf(&large, "host%d.deployment.keys.k.keyFile = \"%s\";\n", i, file)
	}
	d.hive("{ " + small.String() + " }")
	before := d.memoryOf("upload-keys")
	d.hive("{ " + large.String() + " }")
	after := d.memoryOf("upload-keys")
	t.Logf("at most %d MiB with small keys, %d MiB with large ones", before>>20, after>>20)
	if after-before > size {
		t.Errorf("%d bytes more for %d hosts with a key of %d", after-before, hosts, size)
	}
	for i := 1; i <= hosts; i++ {
		host := fmt.Sprint("host", i)
		sum := d.on(host, "sha256sum </run/keys/k; stat -c %a%U%s /run/keys/k; rm /run/keys/k")
		if want := fmt.Sprintf("%x  -\n600root%d", sha256.Sum256(content), size); strings.TrimSpace(sum) != want {
			t.Errorf("%s has %s, want %s", host, sum, want)
		}
	}
}

func TestThousandsOfKeysAreOneUpload(t *testing.T) {
	d := deploying(t, 1)
	t.Cleanup(func() { d.on("host1", "rm -rf /run/many") })
	keys := func(content string) {
		d.hive(`{ host1 = { lib, ... }: { deployment.keys = lib.listToAttrs (map (i: { name = "key-` + strings.Repeat("n", 100) + `-${toString i}"; value = { text = "` + content + ` ${toString i}"; destDir = "/run/many"; }; }) (lib.range 1 3000)); }; }`)
	}
	for _, content := range []string{"first", "second"} {
		keys(content)
		took := d.memoryOf("upload-keys")
		t.Logf("at most %d MiB", took>>20)
		if got := d.on("host1", `cd /run/many && ls | wc -l && cat * | grep -c '^`+content+` ' ; cat * | tr -d '\n' | wc -c`); !strings.HasPrefix(got, "3000\n") {
			t.Errorf("there are %q", got)
		}
		if o := d.must("upload-keys"); o.results["host1"].change("key-"+strings.Repeat("n", 100)+"-3000") != "unchanged" {
			t.Error("a second upload changes keys")
		}
		d.has("host1", "/run/many/key-"+strings.Repeat("n", 100)+"-3000", content+" 3000", "root root 600")
	}
}
