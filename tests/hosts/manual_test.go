package hosts_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/manual"
)

// What the pages of the manual show is done, in their order, by a reader who has
// this fleet. Pages that need no hosts are in tests/manual.
func TestAReaderOfTheManualDeploys(t *testing.T) {
	names, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		page, err := manual.Parse(strings.TrimPrefix(name, "../../"), string(text))
		if err != nil {
			t.Fatal(err)
		}
		if page.Hosts == 0 {
			continue
		}
		done++
		t.Run(filepath.Base(name), func(t *testing.T) { reader(t, page.Hosts).Follow(t, page) })
	}
	if done == 0 {
		t.Error("no page is for hosts")
	}
}

// reader has n hosts, at the addresses that the manual writes, the first of which
// are also called web.example.org and db.example.org.
func reader(t *testing.T, n int) manual.Reader {
	d := deploying(t, n)
	for _, h := range d.fleet.Hosts[:n] {
		d.reboots(h.Name)
	}
	var aliases strings.Builder
	for i, h := range d.fleet.Hosts[:n] {
		for _, name := range []string{fmt.Sprintf("203.0.113.%d", 10+i), []string{"web", "db", "mx"}[i] + ".example.org"} {
			fmt.Fprintf(&aliases, "Host %s\n  HostName %s\n  HostKeyAlias %[1]s\n", name, h.IP)
		}
	}
	configured := d.write("ssh_config", "Include "+d.fleet.SSHConfig+"\n"+aliases.String())

	bin, home := t.TempDir(), t.TempDir()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	scripts := map[string]string{"colmena-go": `exec ` + path + ` "$@"`}
	for _, name := range []string{"ssh", "scp"} {
		scripts[name] = `exec /usr/bin/` + name + ` -F ` + configured + ` "$@"`
	}
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, h := range d.fleet.Hosts[:n] {
			d.on(h.Name, `rm -rf /etc/nixos /usr/local/bin/htop /usr/local/bin/nixos-version
[ ! -e /root/deployer.sudoers ] || mv /root/deployer.sudoers /etc/sudoers.d/deployer; usermod -p '*' deployer`)
		}
		var nodes strings.Builder
		for _, h := range d.fleet.Hosts[:n] {
			fmt.Fprintf(&nodes, "%s = { }; ", h.Name)
		}
		d.env = d.env[:len(d.env)-1]
		d.env = append(d.env, "SSH_CONFIG_FILE="+d.fleet.SSHConfig)
		d.hive("{ " + nodes.String() + "}")
		d.must("apply")
	})
	d.env = append(d.env, "SSH_CONFIG_FILE="+configured)
	return manual.Reader{
		Dir:     t.TempDir(),
		Env:     append(d.env, "PATH="+bin+":"+os.Getenv("PATH")),
		Instead: strings.NewReplacer("/home/me", home, "/var/lib/prometheus", home, "IdentityFile ~/.ssh/deploy_key", "IdentityFile "+d.fleet.Dir+"/id_ed25519\n  Include "+d.write("aliases", aliases.String())),
	}
}
