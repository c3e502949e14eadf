package hosts_test

import (
	"os/exec"
	"testing"
)

func TestHostsAreReachedOverIPv6HoweverTheirAddressIsWritten(t *testing.T) {
	d := deploying(t, 3)
	for _, address := range []string{"fd99::1/64", "fe80::1/64"} {
		if out, err := exec.Command("ip", "addr", "add", address, "dev", "fleet0", "nodad").CombinedOutput(); err != nil {
			t.Skipf("no IPv6 here: %s", out)
		}
		t.Cleanup(func() { exec.Command("ip", "addr", "del", address, "dev", "fleet0").Run() })
	}
	for host, address := range map[string]string{"host1": "fd99::11/64", "host2": "fd99::12/64", "host3": "fe80::13/64"} {
		d.on(host, "ip addr add "+address+" dev eth0 nodad")
		t.Cleanup(func() { d.host(host).Shell("ip addr del " + address + " dev eth0") })
	}
	d.hive(`{
  host1 = { deployment = { targetHost = "fd99::11"; keys.v6.text = "1"; }; environment.etc.v6.text = "1"; };
  host2 = { deployment = { targetHost = "[fd99::12]"; targetPort = 22; keys.v6.text = "2"; }; environment.etc.v6.text = "2"; };
  host3 = { deployment = { targetHost = "fe80::13%fleet0"; keys.v6.text = "3"; }; environment.etc.v6.text = "3"; };
}`)
	for range 2 { // the second time the hosts' keys are known
		d.must("apply")
	}
	for _, n := range []string{"1", "2", "3"} {
		d.has("host"+n, "/run/keys/v6", n, "root root 600")
		if got := d.on("host"+n, "cat /etc/v6"); got != n {
			t.Errorf("host%s has the system of %q", n, got)
		}
	}
}
