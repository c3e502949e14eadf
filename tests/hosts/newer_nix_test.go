package hosts_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/hostile"
	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// The hosts' Nix is newer than the floor, 2.8, that Debian 12 has; it prints
// errors, values and traces in another way.
func TestHivesAreEvaluatedAndBuiltByTheHostsNixToo(t *testing.T) {
	d := deploying(t, 1)
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	root := d.host("host1").Path("/root/newer")
	if out, err := exec.Command("sh", "-ec", `mkdir -p "$1"; cp "$2" "$1/colmena-go"; rm -rf "$1/nixpkgs"; cp -r "$3" "$1/nixpkgs"`,
		"sh", root, bin, nixenv.Nixpkgs(t)).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	on := func(hive, args string) string {
		t.Helper()
		return d.on("host1", `cd /root/newer; nix --version; cat >hive.nix <<'HIVE'
`+hive+`
HIVE
HOME=/root NIX_PATH=nixpkgs=$PWD/nixpkgs ./colmena-go `+args+` 2>&1 || echo "exit $?"`)
	}
	const good = `{ web = { lib, ... }: {
    boot.loader.grub.enable = false; fileSystems."/".device = "/dev/vda1"; system.stateVersion = "26.05";
    deployment.tags = lib.trace "one\ntwo" [ "t" ]; deployment.keys.k.text = "s3cret"; }; }`
	if got := on(good, "build --on @t"); !strings.Contains(got, "1 of 1 nodes succeeded") || !strings.Contains(got, "INF web: one\n    two") {
		t.Errorf("%s", got)
	}
	for hive, says := range map[string]string{
		`{ web.deployment.keys.k.text = { }.password; }`:                        "missing at",
		`{ web.deployment.keys.k.text = builtins.readFile /etc/no/such/file; }`: "/etc/no/such/file",
		`{ web.deployment.keys.k.text = throw "no vault: log in"; }`:            "no vault: log in",
		`{ web = throw "my own words"; }`:                                       "my own words",
	} {
		for _, args := range []string{"upload-keys", "upload-keys --show-trace"} {
			// Nix' own words, which break the line before the place, come with the trace.
			got := on(hive, args)
			if says == "missing at" {
				traced := strings.Contains(args, "trace")
				if strings.Contains(got, "attribute 'password' missing") != traced || strings.Contains(got, "attribute [not shown] missing at") == traced {
					t.Errorf("%s with %s:\n%s", args, hive, got)
				}
				continue
			}
			if !strings.Contains(got, says) || !strings.Contains(got, `node "web"`) || !strings.Contains(got, "exit 1") {
				t.Errorf("%s with %s: want %q:\n%s", args, hive, says, got)
			}
		}
	}
	for _, h := range hostile.Hives {
		keys := "cat >keys.nix <<'KEYS'\n" + h.Keys + "\nKEYS\n"
		d.on("host1", "cd /root/newer; "+keys)
		got := on(h.Text, "upload-keys --nix-option download-attempts 1")
		if strings.Contains(got, hostile.Secret) || !strings.Contains(got, "cannot be evaluated") {
			t.Errorf("%s: want an error of the evaluation without the secret:\n%s", h.Name, got)
		}
	}
}
