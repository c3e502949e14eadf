package remote

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/tests/lacking"
)

// realm is a Kerberos realm of its own on loopback, with a ticket for us: only ssh knows
// what to do with that.
func realm(t *testing.T) {
	t.Helper()
	for _, program := range []string{"krb5kdc", "kdb5_util", "kadmin.local", "kinit"} {
		if _, err := exec.LookPath(program); err != nil {
			lacking.Skip(t, err)
		}
	}
	dir, port := t.TempDir(), freePort(t)
	files := map[string]string{
		"krb5.conf": fmt.Sprintf("[libdefaults]\ndefault_realm = TEST\ndns_canonicalize_hostname = false\nrdns = false\n[realms]\nTEST = {\n kdc = 127.0.0.1:%s\n}\n[domain_realm]\nlocalhost = TEST\n", port),
		"kdc.conf":  fmt.Sprintf("[kdcdefaults]\nkdc_listen = 127.0.0.1:%s\nkdc_tcp_listen = 127.0.0.1:%[1]s\n[realms]\nTEST = {\n database_name = %s/db\n key_stash_file = %[2]s/stash\n acl_file = /dev/null\n}\n[logging]\nkdc = FILE:%[2]s/log\n", port, dir),
	}
	for name, text := range files {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{"KRB5_CONFIG": dir + "/krb5.conf", "KRB5_KDC_PROFILE": dir + "/kdc.conf", "KRB5_KTNAME": dir + "/keytab", "KRB5CCNAME": "FILE:" + dir + "/tickets"} {
		t.Setenv(name, value)
	}
	run := func(stdin string, words ...string) {
		t.Helper()
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Stdin = strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", words, err, out)
		}
	}
	run("", "kdb5_util", "create", "-r", "TEST", "-s", "-P", "master")
	run("", "kadmin.local", "-r", "TEST", "addprinc", "-pw", "open sesame", me(t)+"@TEST")
	run("", "kadmin.local", "-r", "TEST", "addprinc", "-randkey", "host/localhost@TEST")
	run("", "kadmin.local", "-r", "TEST", "ktadd", "-k", dir+"/keytab", "host/localhost@TEST")
	kdc := exec.Command("krb5kdc", "-n", "-r", "TEST")
	if err := kdc.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kdc.Process.Kill(); kdc.Wait() })
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			conn.Close()
			break
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	run("open sesame\n", "kinit", me(t)+"@TEST")
}

func TestATicketOfKerberosOpensTheDoor(t *testing.T) {
	realm(t)
	s := serve(t, "GSSAPIAuthentication yes", "GSSAPIStrictAcceptorCheck no")
	s.write(t, "authorized_keys", "")
	works(t, mustDial(t, s.config(t, "HostName localhost", "AddressFamily inet", "GSSAPIAuthentication yes")))
	if !strings.Contains(s.log.String(), "Accepted gssapi-with-mic for "+me(t)) {
		t.Error("it was let in with something else")
	}
	if _, err := dial(t, s.config(t, "HostName localhost", "AddressFamily inet", "GSSAPIAuthentication no")); !errors.Is(err, ErrAuth) {
		t.Errorf("without: %v", err)
	}
}
