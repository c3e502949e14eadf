package cli

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

func TestOnlyGoalsThatEvaluateSystemsForHostsDialAhead(t *testing.T) {
	for goal, want := range map[hive.Goal]bool{hive.Build: false, hive.Keys: false, hive.Push: true, hive.Switch: true} {
		var d deployment
		d.Goal = goal
		if got := d.dialAhead(t.Context(), d.request()) != nil; got != want {
			t.Errorf("%v: %t", goal, got)
		}
	}
}

func TestWhatCannotBeDeployedToIsNotDialled(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("SSH_CONFIG_FILE", "/dev/null")
	dialled := func(more string) bool {
		var d deployment
		d.Goal = hive.Switch
		d.dialAhead(t.Context(), d.request())(fmt.Appendf(nil,
			`{"name":"web","deployment":{"targetHost":"127.0.0.1","targetPort":%d%s}}`, l.Addr().(*net.TCPAddr).Port, more))
		defer d.hosts.Close()
		l.(*net.TCPListener).SetDeadline(time.Now().Add(2 * time.Second))
		conn, err := l.Accept()
		if err == nil {
			conn.Close()
		}
		return err == nil
	}
	if !dialled("") {
		t.Fatal("nothing is dialled, so this shows nothing")
	}
	if !dialled(`,"sshOptions":["-4"]`) {
		t.Error("a host with options of ssh is not dialled")
	}
	for _, more := range []string{`,"sshOptions":["gate"]`, `,"targetUser":""`} {
		if dialled(more) {
			t.Errorf("%s is dialled", more)
		}
	}
}
