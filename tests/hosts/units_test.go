package hosts_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

func TestAUnitIsActiveExactlyWhileItsKeyIsThere(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1.deployment.keys = { a.text = "1"; "b.secret" = { text = "2"; destDir = "/srv/not/yet/there"; }; }; }`)
	d.must("apply", "--no-keys")
	d.state("host1", "a-key.service", "inactive")
	d.must("upload-keys")
	d.state("host1", "a-key.service", "active")
	d.state("host1", "b.secret-key.service", "active")

	invocation := d.on("host1", "systemctl show -P InvocationID a-key.service")
	d.hive(`{ host1.deployment.keys = { a.text = "another"; "b.secret" = { text = "2"; destDir = "/srv/not/yet/there"; }; }; }`)
	d.must("upload-keys")
	time.Sleep(500 * time.Millisecond)
	if got := d.on("host1", "systemctl show -P InvocationID a-key.service"); got != invocation {
		t.Error("replacing the key's content restarted its unit")
	}

	d.on("host1", "rm /run/keys/a")
	d.state("host1", "a-key.service", "inactive")
	d.state("host1", "b.secret-key.service", "active")
	d.on("host1", "for i in $(seq 30); do echo x >/run/keys/a; rm /run/keys/a; done")
	time.Sleep(time.Second)
	d.state("host1", "a-key.service", "inactive")
	d.on("host1", "for i in $(seq 30); do rm -f /run/keys/a; echo x >/run/keys/a; done")
	d.state("host1", "a-key.service", "active")
	d.on("host1", "rm -r /srv/not")
	d.state("host1", "b.secret-key.service", "inactive")
	d.must("upload-keys")
	d.state("host1", "b.secret-key.service", "active")
	d.on("host1", "systemctl restart colmena-go-keys")
	d.state("host1", "a-key.service", "active")
}

func TestUnitsOfHostileNames(t *testing.T) {
	d := deploying(t, 1)
	names := []string{"a b", "100%", "x@y", "mail@example.org", "@at", "at@", "it's", "$(touch pwned)", "-dash", "ключ", `a\b`, ".hidden", `"q"`, "*", "a:b", "~", "é€😀"}
	var keys strings.Builder
	for _, name := range names {
		fmt.Fprintf(&keys, "%s = { text = \"v\"; destDir = %s; };\n", nixString(name), nixString("/srv/"+name))
	}
	d.hive(`{ host1.deployment.keys = { ` + keys.String() + ` }; }`)
	d.must("apply")
	for _, name := range names {
		d.state("host1", hive.Key{Attr: name}.Unit(), "active")
	}
	if got := d.on("host1", "find / -xdev -name pwned"); got != "" {
		t.Errorf("a name was run as a command: %s", got)
	}
	d.on("host1", "find /srv -mindepth 1 -delete")
	for _, name := range names {
		d.state("host1", hive.Key{Attr: name}.Unit(), "inactive")
	}
}

func TestAServiceRequiresTheUnitOfAKeyByItsPlainName(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1 = {
    deployment.keys."mail@example.org".text = "v";
    systemd.services.mailer = {
      wantedBy = [ "multi-user.target" ]; requires = [ "mail@example.org-key.service" ]; after = [ "mail@example.org-key.service" ];
      serviceConfig = { Type = "oneshot"; RemainAfterExit = true; };
      script = "cat /run/keys/mail@example.org";
    };
    systemd.services."mail@example.org-key".serviceConfig.LogLevelMax = "notice";
  }; }`)
	d.must("apply")
	d.state("host1", "mailer.service", "active")
	if got := d.on("host1", "systemctl show -P LogLevelMax mail@example.org-key.service"); got != "5" {
		t.Errorf("the level is %s: what the configuration adds to the unit is lost", got)
	}
	d.hive(`{ host1 = { }; }`)
	d.must("apply")
	d.state("host1", "mail@example.org-key.service", "inactive")
}

func nixString(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "${", `\${`).Replace(text) + `"`
}

func TestTwoHundredKeysCostOneProcess(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1 = { }; }`)
	d.must("apply")
	time.Sleep(time.Second)
	processes := func() int {
		n, err := strconv.Atoi(d.on("host1", "ps -e --no-headers | wc -l"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	bare := processes()
	d.hive(`{ host1.deployment.keys = builtins.listToAttrs (builtins.genList (i: { name = "k${toString i}"; value.text = "v"; }) 200); }`)
	d.must("apply")
	for i := range 200 {
		d.state("host1", fmt.Sprintf("k%d-key.service", i), "active")
	}
	time.Sleep(time.Second)
	if more := processes() - bare; more > 1 {
		t.Errorf("%d processes more than without keys:\n%s", more, d.on("host1", "ps -eo args"))
	}
	const history = `systemctl show -p Id -p InvocationID "k*-key.service" | paste - - - | sort`
	before := d.on("host1", history)
	begin := time.Now()
	d.must("apply")
	t.Logf("apply with 200 keys and nothing to do took %v", time.Since(begin))
	if after := d.on("host1", history); after != before {
		t.Errorf("a switch that changes nothing restarted key units: %s\nwas: %s", after, before)
	}
	// What is no longer declared has no unit any more.
	d.hive(`{ host1.deployment.keys.k0.text = "v"; }`)
	d.must("apply")
	d.state("host1", "k0-key.service", "active")
	d.state("host1", "k1-key.service", "inactive")
}

// Rules that hold when a system is evaluated, besides those in Go: a plain
// NixOS build meets only these.
func TestTheSystemsAssertionsRefuseWhatGoRefuses(t *testing.T) {
	d := deploying(t, 1)
	for key, says := range map[string]string{
		`a = { };`: "exactly one", `a = { text = "v"; keyFile = "/x"; };`: "exactly one",
		`a = { text = "v"; permissions = "9999"; };`: "permissions", `a = { text = "v"; name = ".."; };`: "name",
		`a = { text = "v"; destDir = "/a/../b"; };`: "destDir", `a = { text = "v"; user = "a:b"; };`: "user",
		`"a${builtins.concatStringsSep "" (builtins.genList (_: "é") 31)}".text = "v";`: "name",
		`a.text = "v"; b = { text = "v"; name = "a"; };`:                                "/run/keys/a",
	} {
		d.hive(`{ host1.deployment.keys = { ` + key + ` }; }`)
		if o := d.run("build"); o.code != 1 || !strings.Contains(o.stderr, says) {
			t.Errorf("%s: exit %d: %s", key, o.code, o.stderr)
		}
		if o := d.run("upload-keys"); o.code != 1 || !strings.Contains(o.stderr, `"a`) {
			t.Errorf("upload-keys with %s: exit %d: %s", key, o.code, o.stderr)
		}
	}
}
