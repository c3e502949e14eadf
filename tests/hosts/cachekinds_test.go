package hosts_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A server that takes what is put there: Nix writes to it by the address that hosts
// read from, and what concerns this machine alone does not reach them.
func TestAnAddressToWriteToServesHostsToo(t *testing.T) {
	d := deploying(t, 1)
	c := d.binaryCache() // for its key
	d.trust("host1", c)
	dir := t.TempDir()
	listener, err := net.Listen("tcp", "10.213.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	files := http.FileServer(http.Dir(dir))
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut {
			files.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		name := filepath.Join(dir, filepath.Clean("/"+r.URL.Path))
		if err == nil && os.MkdirAll(filepath.Dir(name), 0o755) == nil {
			err = os.WriteFile(name, body, 0o644)
		}
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })

	d.hive(`{ host1.environment.etc.fresh.text = "put, ${toString builtins.currentTime}"; }`)
	o := d.must("apply", "push", "--via", fmt.Sprintf("http://%s?compression=none&secret-key=%s/secret", listener.Addr(), d.dir))
	d.on("host1", "nix-store --check-validity "+o.toplevel(t, "host1"))
	if !strings.Contains(o.stderr, "host1 | the host fetched ") || strings.Contains(o.stderr, "host1 | copied") {
		t.Errorf("it did not come from there:\n%s", o.stderr)
	}
}

// Another host as the store: Nix reaches it by the ssh_config of the deployment, and
// hosts by their own.
func TestAnotherHostServesAsTheCache(t *testing.T) {
	d := deploying(t, 2)
	const between = `ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/between <<<y >/dev/null; cat /root/.ssh/between.pub`
	public := d.on("host1", "mkdir -p -m 700 /root/.ssh; rm -f /root/.ssh/between*; bash -c \""+between+"\"")
	d.on("host2", "cp /root/.ssh/authorized_keys /root/authorized; echo '"+public+"' >>/root/.ssh/authorized_keys")
	d.on("host1", fmt.Sprintf("printf 'Host store\\n HostName %s\\n IdentityFile /root/.ssh/between\\n StrictHostKeyChecking accept-new\\n' >/root/.ssh/config", d.host("host2").IP))
	t.Cleanup(func() {
		d.on("host1", "rm -f /root/.ssh/config /root/.ssh/between*")
		d.on("host2", "cat /root/authorized >/root/.ssh/authorized_keys")
	})

	d.hive(`{ host1.environment.etc.fresh.text = "by another host, ${toString builtins.currentTime}"; }`)
	o := d.must("apply", "push", "--via", "ssh-ng://root@host2", "--via-from", "ssh-ng://root@store?trusted=true")
	for _, host := range []string{"host1", "host2"} {
		d.on(host, "nix-store --check-validity "+o.toplevel(t, "host1"))
	}
	if !strings.Contains(o.stderr, "host1 | the host fetched ") || strings.Contains(o.stderr, "host1 | copied") {
		t.Errorf("it did not come from there:\n%s", o.stderr)
	}
}
