package remote

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestOtherWaysToLogInAreLeftToSSH(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "id_sk")
	public := "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIJ1L9pEZAVg8gvbYnJ5w6nbUJBl5NmBjYQmuUZ9d5tLzAAAABHNzaDo= me\n"
	if err := os.WriteFile(key+".pub", []byte(public), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		s      settings
		wanted string
		why    string
	}{
		{settings{}, "publickey gssapi-with-mic hostbased", ""},
		{settings{GSSAPI: true}, "publickey", ""},
		{settings{GSSAPI: true}, "publickey gssapi-with-mic", "GSSAPIAuthentication"},
		{settings{HostBased: true}, "hostbased", "HostbasedAuthentication"},
		{settings{IdentityFiles: []string{"/none", key}}, "publickey", "an IdentityFile on a security key"},
		{settings{IdentityFiles: []string{key}}, "password", ""},
	} {
		if got := loginByOpenSSH(c.s, strings.Fields(c.wanted)); got != c.why {
			t.Errorf("%q for %s, want %q", got, c.wanted, c.why)
		}
	}
}

// Where ssh does not get in either, what our own client found is told.
func TestWhyOurOwnClientWasNotLetInIsTold(t *testing.T) {
	s := serve(t)
	keygen(t, s.path("id_sk"), "-t", "ed25519")
	s.write(t, "id_sk.pub", "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIJ1L9pEZAVg8gvbYnJ5w6nbUJBl5NmBjYQmuUZ9d5tLzAAAABHNzaDo= me\n")
	cfg := s.config(t)
	s.write(t, "ssh_config", strings.ReplaceAll(s.read(t, "ssh_config"), "IdentityFile "+s.path("id")+"\n", "IdentityFile "+s.path("id_sk")+"\n"))
	if _, err := dial(t, cfg); err == nil || !strings.Contains(err.Error(), "accepts none of our keys") {
		t.Errorf("%v, want what our own client was told", err)
	}
}

// Nothing but ssh speaks there, but who waits for it must not wait for ever.
func TestAMasterThatMakesNoSenseIsGivenUp(t *testing.T) {
	for name, says := range map[string]string{
		"too much": "\xff\xff\xff\xff", "too little": "\x00\x00\x00\x01\x00", "another version": "\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x63", "an end": "",
	} {
		socket := filepath.Join(t.TempDir(), "s")
		listener, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if conn, err := listener.Accept(); err == nil {
				conn.Write([]byte(says))
				conn.Close()
			}
		}()
		if link, err := dialMux(socket); err == nil {
			link.close()
			t.Errorf("%s: it is taken for ssh", name)
		}
		listener.Close()
		<-done
	}
}

func TestSSHIsTriedWhereTheHostTakesWhatOnlyItCanDo(t *testing.T) {
	for option, offered := range map[string]string{"HostbasedAuthentication": "HostbasedAuthentication yes", "GSSAPIAuthentication": "GSSAPIAuthentication yes"} {
		s := serve(t, offered)
		s.write(t, "authorized_keys", "")
		real, err := exec.LookPath("ssh")
		if err != nil {
			t.Skip(err)
		}
		s.write(t, "ssh", "#!/bin/sh\necho \"$*\" >>"+s.path("calls")+"\nexec "+real+" \"$@\"\n")
		if err := os.Chmod(s.path("ssh"), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", s.dir+":"+os.Getenv("PATH"))
		for value, want := range map[string]int{"no": 0, "yes": 1} {
			s.write(t, "calls", "")
			_, err := dial(t, s.config(t, option+" "+value))
			if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "accepts none of our keys") {
				t.Errorf("%s %s: %v", option, value, err)
			}
			if masters := strings.Count(s.read(t, "calls"), "-M -N"); masters != want {
				t.Errorf("%s %s: ssh was started %d times to connect, want %d", option, value, masters, want)
			}
		}
	}
}
