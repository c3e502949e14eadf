package keyunits_test

import (
	"fmt"
	"testing"
	"time"
)

// More names than fit into the arguments of one program, of which Linux promises
// 128 KiB: 9000 of them anywhere, 700 where the stack is small.
func TestAnyNumberOfLongNamesIsFollowedAndOwned(t *testing.T) {
	h := onHost(t)
	const n = 700
	system := h.built(fmt.Sprintf(`{
  deployment.keys = builtins.listToAttrs (builtins.genList (i: rec {
    name = toString (i + 1000) + lib.concatStrings (builtins.genList (_: "n") 220);
    value = { text = "v"; user = "many"; destDir = "/srv/many"; };
  }) %d);
  users.users.many = { isSystemUser = true; group = "many"; }; users.groups.many = { };
  systemd.services.colmena-go-keys.serviceConfig.LimitSTACK = "512K";
}`, n))
	h.sh(fmt.Sprintf(`mkdir -p /srv/many; cd /srv/many; tail=$(head -c 220 /dev/zero | tr '\0' n); for i in $(seq 1000 %d); do echo v >$i$tail; done`, 999+n))
	h.sh("ulimit -s 512; " + system + "/bin/switch-to-configuration switch 2>&1")
	if got := h.sh("cd /srv/many; find . -type f -user many | wc -l"); got != fmt.Sprint(n) {
		t.Errorf("%s keys have their owner, want %d", got, n)
	}
	all := func(want int) {
		t.Helper()
		begin := time.Now()
		for {
			got := h.sh("systemctl list-units --no-legend --state=active '*nnn-key.service' | wc -l")
			if got == fmt.Sprint(want) {
				return
			}
			if time.Since(begin) > 60*time.Second {
				t.Fatalf("%s units are active, want %d: %s", got, want, h.sh("journalctl -q -u colmena-go-keys | tail -n 5"))
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	all(n)
	h.sh("cd /srv/many; find . -type f -delete")
	all(0)
	if log := h.sh("journalctl -q -u colmena-go-keys | grep -i 'cannot be watched' || :"); log != "" {
		t.Error(log)
	}
}
