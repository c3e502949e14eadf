package hive

import (
	"strings"
	"testing"
)

func decodeTarget(t *testing.T, host string, port, user any) (*Target, error) {
	t.Helper()
	node := aNode(nil)
	d := node["deployment"].(map[string]any)
	d["targetHost"], d["targetPort"], d["targetUser"] = host, port, user
	decoded, err := DecodeNode(inEval(t, node))
	return decoded.Target, err
}

func TestATargetIsANameOrAnAddress(t *testing.T) {
	for _, c := range []struct {
		host       string
		port, user any
		want       string
	}{
		{"web.example.org.", nil, "root", "root@web.example.org."},
		{"web_1", 22, "root", "root@web_1:22"},
		{"gate/web", nil, nil, "gate/web"}, // a name that ssh_config knows
		{"192.0.2.1", 22, nil, "192.0.2.1:22"},
		{"fd99:41::2", nil, "root", "root@fd99:41::2"},
		{"fd99:41::2", 22, "root", "root@[fd99:41::2]:22"},
		{"[fd99:41::2]", nil, "root", "root@[fd99:41::2]"},
		{"[fd99:41::2]", 22, "root", "root@[fd99:41::2]:22"},
		{"fe80::1%eth0", nil, nil, "fe80::1%eth0"},
		{"[fe80::1%eth0]", 22, nil, "[fe80::1%eth0]:22"},
		{"admin@web", nil, nil, "admin@web"},
		{"admin@[::1]", nil, nil, "admin@[::1]"},
		{"root@web", nil, "root", "root@web"},
		{"a@realm@web", nil, nil, "a@realm@web"},
	} {
		target, err := decodeTarget(t, c.host, c.port, c.user)
		if err != nil || target.String() != c.want {
			t.Errorf("%s, %v, %v: %v (%v), want %s", c.host, c.port, c.user, target, err, c.want)
		}
	}
}

func TestWhatElseIsInATargetHasAnOptionOfItsOwn(t *testing.T) {
	for _, c := range []struct {
		host string
		user any
		want string
	}{
		{"web:22", "root", `is "web:22": set targetHost = "web" and targetPort = 22`},
		{"192.0.2.1:2222", nil, `set targetHost = "192.0.2.1" and targetPort = 2222`},
		{"[::1]:22", "root", `set targetHost = "[::1]" and targetPort = 22`},
		{"[fe80::1%eth0]:22", "root", `set targetHost = "[fe80::1%eth0]" and targetPort = 22`},
		{"admin@web", "root", `set targetHost = "web" and targetUser = "admin"`},
		{"admin@web:22", nil, `set targetHost = "web" and targetUser = "admin" and targetPort = 22`},
		{"admin@web:22", "root", `set targetHost = "web" and targetUser = "admin" and targetPort = 22`},
		{"ssh://web", "root", `set targetHost = "web"`},
		{"ssh://web", nil, `set targetHost = "web"`},
		{"ssh://admin@[::1]:22", nil, `set targetHost = "[::1]" and targetUser = "admin" and targetPort = 22`},
		{"ssh-ng://web", "root", `set targetHost = "web"`},
		{"https://web", "root", "neither a name nor an address"},
		{"web:ssh", "root", "neither a name nor an address"},
		{"web:", "root", "neither a name nor an address"},
		{"fd99::2::1", "root", "neither a name nor an address"},
		{"[web]", "root", "neither a name nor an address"},
		{"[192.0.2.1]", "root", "neither a name nor an address"},
		{"[::1", "root", "neither a name nor an address"},
		{"::1]", "root", "neither a name nor an address"},
		{"admin@", nil, "neither a name nor an address"},
		{"@web", nil, "neither a name nor an address"},
		{"admin@-oProxyCommand=x", nil, "neither a name nor an address"},
	} {
		_, err := decodeTarget(t, c.host, nil, c.user)
		if err == nil || !strings.Contains(err.Error(), `node "web": deployment.targetHost is`) || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s, %v: %v, want an error that ends with %s", c.host, c.user, err, c.want)
		}
	}
}

func TestNoPasswordInATargetIsShownOrUsed(t *testing.T) {
	const said = "holds a password: those are not used, ssh logs in with a key; set targetHost "
	for _, c := range []struct {
		host string
		user any
		want string
	}{
		{"ssh://root:s3cret@10.0.0.1", "root", said + `= "10.0.0.1" and targetUser = "root"`},
		{"root:s3cret@10.0.0.1", nil, said + `= "10.0.0.1" and targetUser = "root"`},
		{"root:s3cret@10.0.0.1", "root:s3cret", said + `= "10.0.0.1" and targetUser = "root"`},
		{"root:s3cret@[::1]:22", nil, said + `= "[::1]" and targetUser = "root" and targetPort = 22`},
		{"root:s3@s3cret@web", nil, said + `= "web" and targetUser = "root"`},
		{"root:s3 s3cret@web", nil, said + `= "web" and targetUser = "root"`},
		{"root:s3/s3cret@web", nil, said + `= "web" and targetUser = "root"`},
		{"root:s3://s3cret@web", nil, said + `= "web" and targetUser = "root"`},
		{"https://root:s3cret@web:/x", nil, said + "to the name or address alone"},
		{":s3cret@web", nil, said + `= "web"`},
		{"root:s3cret@", nil, said + "to the name or address alone"},
		{"web", "root:s3cret", `targetUser holds a colon, as before a password: those are not used, ssh logs in with a key; set targetUser = "root"`},
		{"web", "root:s3 cret", `; set targetUser = "root"`},
		{"web", ":s3cret", "ssh logs in with a key"},
	} {
		_, err := decodeTarget(t, c.host, nil, c.user)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3") {
			t.Errorf("%s, %v: %v, want an error with %s", c.host, c.user, err, c.want)
		}
	}
}
