package remote

import (
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/sshauth"
	"github.com/colmena-go/colmena-go/tests/lacking"
)

func TestAnIPv6AddressIsReachedHoweverItIsWritten(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		lacking.Skip(t, err)
	} else {
		l.Close()
	}
	s := serve(t, "ListenAddress ::1")
	port, err := strconv.Atoi(s.port)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{"::1": "[::1]", "[::1]": "[::1]", "::1%lo": "[::1%lo]", "[::1%lo]": "[::1%lo]"}
	for address, recorded := range known {
		s.write(t, "known_hosts", "")
		learnt := 0
		cfg := s.config(t, "Host ::1 ::1%lo", "  User "+me(t), "  IdentityFile "+s.path("id"), "  IdentityAgent none", "  UserKnownHostsFile "+s.path("known_hosts"), "  GlobalKnownHostsFile /dev/null")
		cfg.Host, cfg.Port, cfg.Note = address, port, func(string) { learnt++ }
		for range 2 {
			h := mustDial(t, cfg)
			if err := h.Run(t.Context(), "true", nil, nil, nil); err != nil {
				t.Errorf("%s: %v", address, err)
			}
		}
		if got := s.read(t, "known_hosts"); learnt != 1 || !strings.HasPrefix(got, fmt.Sprintf("%s:%d ", recorded, port)) {
			t.Errorf("%s: learnt %d times, known_hosts has %q", address, learnt, got)
		}
	}
}

// ssh does not reach what is in brackets, so that who had to write them for
// another program has told ssh_config what they mean.
func TestSSHConfigMayKnowAnAddressInBrackets(t *testing.T) {
	s := serve(t)
	cfg := s.config(t, "Host [fd99::1]", "  HostName 127.0.0.1", "  Port "+s.port, "  User "+me(t), "  IdentityFile "+s.path("id"), "  IdentityAgent none", "  UserKnownHostsFile /dev/null")
	cfg.Host = "[fd99::1]"
	mustDial(t, cfg)
	cfg = s.config(t, "Host six", "  HostName [::ffff:127.0.0.1]", "  Port "+s.port, "  User "+me(t), "  IdentityFile "+s.path("id"), "  IdentityAgent none", "  UserKnownHostsFile /dev/null")
	cfg.Host = "six"
	mustDial(t, cfg)
}

// On the usual port known_hosts has an address bare, as ssh looks for it.
func TestSSHFindsTheAddressesThatAreLearnt(t *testing.T) {
	dir := t.TempDir()
	keygen(t, dir+"/host", "-t", "ed25519")
	key := sshauth.PublicKey(dir + "/host.pub")
	for _, hash := range []bool{false, true} {
		file := fmt.Sprintf("%s/known_hosts_%t", dir, hash)
		learnt := 0
		for range 2 {
			keys, err := newHostKeys(t.Context(), settings{HostName: "fd99::1", Port: 22, UserKnownHosts: []string{file}, Hash: hash}, Config{Note: func(string) { learnt++ }})
			if err != nil {
				t.Fatal(err)
			}
			if err := keys.check("", &net.TCPAddr{IP: net.ParseIP("fd99::1"), Port: 22}, key); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.Command("ssh-keygen", "-F", "fd99::1", "-f", file).CombinedOutput()
		if err != nil || learnt != 1 {
			t.Errorf("hashed %t: learnt %d times; ssh-keygen -F: %v %s", hash, learnt, err, out)
		}
	}
}
