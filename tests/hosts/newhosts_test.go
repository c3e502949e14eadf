package hosts_test

import (
	"os"
	"strings"
	"testing"
)

// On a terminal many hosts that are new do not scroll away what else there is to see, and
// their keys are recorded all the same.
func TestManyNewHostsTakeOneLine(t *testing.T) {
	d := deploying(t, 5)
	d.hive(`{ host1 = {}; host2 = {}; host3 = {}; host4 = {}; host5 = {}; }`)
	text, err := os.ReadFile(d.fleet.SSHConfig)
	if err != nil {
		t.Fatal(err)
	}
	known := d.dir + "/known_hosts"
	d.env = append(d.env, "SSH_CONFIG_FILE="+d.write("ssh_config", strings.ReplaceAll(string(text), d.fleet.Dir+"/known_hosts", known)))
	s := d.typing("status", "--hosts-only")
	if code := s.Wait(); code != 0 {
		t.Errorf("exit %d", code)
	}
	if shown := s.Shown(); strings.Count(shown, "new host") != 1 || !strings.Contains(shown, "and 2 more: new hosts, whose keys are now in "+known) {
		t.Errorf("of new hosts is told\n%s", shown)
	}
	if keys, err := os.ReadFile(known); err != nil || strings.Count(string(keys), "\n") != 5 {
		t.Errorf("%v, %s", err, keys)
	}
}
