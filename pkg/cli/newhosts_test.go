package cli

import (
	"fmt"
	"strings"
	"testing"
)

func TestManyNewHostsAreToldInOneLine(t *testing.T) {
	for n, want := range map[int]string{
		0:  "",
		2:  "web-0: new host: its key SHA256:0 is now in known_hosts; web-1: new host: its key SHA256:1 is now in known_hosts",
		40: ": web-0, web-1, web-2 and 37 more: new hosts, whose keys are now in known_hosts",
	} {
		var told []string
		hosts := &newHosts{tell: func(node, text string) { told = append(told, node+": "+text) }}
		for i := range n {
			hosts.learnt(fmt.Sprintf("web-%d", i), fmt.Sprintf("SHA256:%d", i), "known_hosts")
		}
		hosts.flush()
		hosts.flush() // says nothing twice
		if got := strings.Join(told, "; "); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
