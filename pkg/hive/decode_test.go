package hive

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// aKey is a valid key of the evaluation's JSON, with changes.
func aKey(change map[string]any) map[string]any {
	key := map[string]any{
		"name": "k", "text": "hunter2", "keyFile": nil, "keyCommand": nil, "destDir": "/run/keys",
		"user": "root", "group": "root", "permissions": "0600", "uploadAt": "pre-activation",
	}
	for name, value := range change {
		key[name] = value
	}
	return key
}

// aNode is a valid node with the keys, by attribute name.
func aNode(keys map[string]any) map[string]any {
	return map[string]any{"name": "web", "toplevel": nil, "deployment": map[string]any{
		"targetHost": "host", "targetPort": nil, "targetUser": "root", "tags": []string{"t"},
		"buildOnTarget": false, "allowLocalDeployment": false, "replaceUnknownProfiles": true,
		"privilegeEscalationCommand": []string{"sudo"}, "sshOptions": []string{}, "keys": keys,
	}}
}

func inEval(t *testing.T, node map[string]any) []byte {
	t.Helper()
	text, err := json.Marshal(node)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAKeyKeepsWhatTheHiveSays(t *testing.T) {
	node, err := DecodeNode(inEval(t, aNode(map[string]any{"attr": aKey(map[string]any{
		"name": "file name", "destDir": "/var//lib/./x/", "user": "_app$", "group": "1000", "permissions": "640", "uploadAt": "post-activation", "fingerprint": "v3",
		"environment": []variable{{"A", "x=y\nz"}, {"Z", ""}}, "shared": true, "keyTimeout": 300,
	})})))
	if err != nil {
		t.Fatal(err)
	}
	key := node.Keys[0]
	if key.Path() != "/var/lib/x/file name" || key.Mode != 0o640 || key.User != "_app$" || key.Group != "1000" ||
		key.UploadAt != PostActivation || string(key.Text.Reveal()) != "hunter2" || key.Unit() != "attr-key.service" || key.Fingerprint != "v3" ||
		!slices.Equal(key.Environment, []string{"A=x=y\nz", "Z="}) || !key.Shared || key.Timeout != 5*time.Minute {
		t.Errorf("%+v", key)
	}
}

// What may not pass, and the option that the error must name.
func TestUnitsOfAKeyAreKnownByTheirFullNames(t *testing.T) {
	node, err := DecodeNode(inEval(t, aNode(map[string]any{"attr": aKey(map[string]any{
		"restartUnits": []string{"nginx", "nginx.service", "foo.bar", `a\x2db@i-n.service`, "web.socket", ":_"},
		"reloadUnits":  []string{"nginx.service", "haproxy", "x.timer"},
	})})))
	if err != nil {
		t.Fatal(err)
	}
	restart := []string{"nginx.service", "foo.bar.service", `a\x2db@i-n.service`, "web.socket", ":_.service"}
	reload := []string{"haproxy.service", "x.timer"}
	if key := node.Keys[0]; !slices.Equal(key.RestartUnits, restart) || !slices.Equal(key.ReloadUnits, reload) {
		t.Errorf("%q, %q", key.RestartUnits, key.ReloadUnits)
	}
}

func TestAKeyThatCannotWorkIsRefused(t *testing.T) {
	cases := []struct {
		change map[string]any
		says   string
	}{
		{map[string]any{"text": nil}, "all unset"},
		{map[string]any{"keyFile": "/x"}, "text, keyFile are set together"},
		{map[string]any{"keyFile": "/x", "keyCommand": []string{"c"}}, "text, keyFile, keyCommand"},
		{map[string]any{"text": nil, "keyFile": "relative"}, "keyFile"},
		{map[string]any{"text": nil, "keyCommand": []string{}}, "keyCommand"},
		{map[string]any{"name": ""}, "not a file name"},
		{map[string]any{"name": ".."}, "not a file name"},
		{map[string]any{"name": "../../etc/passwd"}, "slash"},
		{map[string]any{"name": "a\nb"}, "control"},
		{map[string]any{"name": "a\x00b"}, "control"},
		{map[string]any{"name": strings.Repeat("a", 256)}, "256 bytes"},
		{map[string]any{"destDir": "run/keys"}, "absolute"},
		{map[string]any{"destDir": ""}, "absolute"},
		{map[string]any{"destDir": "/run/../etc"}, `".."`},
		{map[string]any{"destDir": "/run\n/x"}, "control"},
		{map[string]any{"name": ".colmena-go.x"}, "staged"},
		{map[string]any{"destDir": "/srv/.colmena-go.x/n"}, "staged"},
		{map[string]any{"destDir": "/run/./colmena-go/"}, "not a place for keys"},
		{map[string]any{"destDir": "/run//colmena-go-keys"}, "not a place for keys"},
		{map[string]any{"destDir": "/run/colmena-go/activate-x"}, "not a place for keys"},
		{map[string]any{"destDir": "/var/lib/colmena-go"}, "not a place for keys"},
		{map[string]any{"destDir": "/nix/store/x"}, "not a place for keys"},
		{map[string]any{"destDir": "/proc/1/cwd"}, "not a place for keys"},
		{map[string]any{"destDir": "/sys"}, "not a place for keys"},
		{map[string]any{"permissions": "9999"}, "octal"},
		{map[string]any{"permissions": ""}, "octal"},
		{map[string]any{"permissions": "u+rw"}, "octal"},
		{map[string]any{"permissions": "77777"}, "octal"},
		{map[string]any{"user": "root:root"}, "user"},
		{map[string]any{"user": "-rf"}, "user"},
		{map[string]any{"user": ""}, "user"},
		{map[string]any{"group": "a b"}, "group"},
		{map[string]any{"group": "$(id)"}, "group"},
		{map[string]any{"group": "4294967295"}, "group"},
		{map[string]any{"uploadAt": "whenever"}, "uploadAt"},
		{map[string]any{"environment": []variable{{"", "hunter2"}}}, "environment has a variable"},
		{map[string]any{"environment": []variable{{"A=hunter2", ""}}}, "neither = nor"},
		{map[string]any{"environment": []variable{{"A\nB", "hunter2"}}}, "control"},
		{map[string]any{"environment": []variable{{"A", "hunter2\x00"}}}, "zero byte"},
		{map[string]any{"environment": []variable{{"COLMENA_GO_NODE", "hunter2"}}}, "set by colmena-go"},
		{map[string]any{"keyTimeout": 0}, "keyTimeout is 0"},
		{map[string]any{"keyTimeout": -1}, "keyTimeout is -1"},
		{map[string]any{"keyTimeout": 1 << 40}, "from 1 to 2592000"},
		{map[string]any{"fingerprint": ""}, "fingerprint is empty"},
		{map[string]any{"fingerprint": "a\nb"}, "control"},
		{map[string]any{"fingerprint": "hunter2\n0123456789"}, "a text of 18 bytes"},
		{map[string]any{"fingerprint": strings.Repeat("a", 257)}, "257 bytes"},
		{map[string]any{"restartUnits": []string{"a b"}}, "restartUnits holds"},
		{map[string]any{"restartUnits": []string{"a.service", "-M"}}, "restartUnits holds"},
		{map[string]any{"restartUnits": []string{"@a.service"}}, "restartUnits holds"},
		{map[string]any{"restartUnits": []string{".service"}}, "restartUnits holds"},
		{map[string]any{"restartUnits": []string{""}}, "restartUnits holds"},
		{map[string]any{"reloadUnits": []string{"nginx*"}}, "reloadUnits holds"},
		{map[string]any{"reloadUnits": []string{"a\nb"}}, "reloadUnits holds"},
		{map[string]any{"reloadUnits": []string{"$(id)"}}, "reloadUnits holds"},
		{map[string]any{"reloadUnits": []string{"a/b.service"}}, "reloadUnits holds"},
		{map[string]any{"reloadUnits": []string{"mail@"}}, "a template"},
		{map[string]any{"reloadUnits": []string{"mail@.timer"}}, "a template"},
		{map[string]any{"reloadUnits": []string{strings.Repeat("a", 248)}}, "256 bytes"},
		{map[string]any{"reloadUnits": []string{"hunter2/0123456789"}}, "a text of 18 bytes"},
		{map[string]any{"name": "hunter2/0123456789"}, "a text of 18 bytes"},
		{map[string]any{"name": "hunter2\n0123456789"}, "a text of 18 bytes"},
		{map[string]any{"destDir": "hunter2-0123456789"}, "a text of 18 bytes"},
		{map[string]any{"destDir": "/hunter2/../0123456789"}, "a text of 22 bytes"},
		{map[string]any{"destDir": "/hunter2\n0123456789"}, "a text of 19 bytes"},
		{map[string]any{"permissions": "hunter2-0123456789"}, "a text of 18 bytes"},
		{map[string]any{"user": "hunter2 0123456789"}, "a text of 18 bytes"},
		{map[string]any{"group": "hunter2:0123456789"}, "a text of 18 bytes"},
		{map[string]any{"text": nil, "keyFile": "hunter2-0123456789"}, "a text of 18 bytes"},
		{map[string]any{"uploadAt": "hunter2-0123456789"}, "uploadAt"},
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c.change), func(t *testing.T) {
			_, err := DecodeNode(inEval(t, aNode(map[string]any{"attr": aKey(c.change)})))
			if err == nil {
				t.Fatal("it passed")
			}
			for _, word := range []string{`"web"`, `"attr"`, c.says} {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not say %q", err, word)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the error shows the secret")
			}
		})
	}
}

func TestADirectoryKeepsWhatTheHiveSays(t *testing.T) {
	node := aNode(nil)
	node["deployment"].(map[string]any)["keyDirectories"] = map[string]any{
		"/var//lib/x/": map[string]any{"user": "_app$", "group": "1000", "permissions": "2750"},
		"/var/lib":     map[string]any{"user": "root", "group": "root", "permissions": "0755"},
	}
	got, err := DecodeNode(inEval(t, node))
	want := []Directory{{"/var/lib/x", "_app$", "1000", 0o2750}, {"/var/lib", "root", "root", 0o755}}
	if err != nil || !slices.Equal(got.Directories, want) {
		t.Errorf("%+v, %v", got.Directories, err)
	}
	for destDir, leads := range map[string]bool{"/var/lib/x": true, "/var/lib/x/y": true, "/var/lib/xy": false, "/var/lib": false, "/": false} {
		if want[0].Leads(destDir) != leads {
			t.Errorf("%s: %v", destDir, !leads)
		}
	}
}

func TestADirectoryThatCannotWorkIsRefused(t *testing.T) {
	good := map[string]any{"user": "root", "group": "root", "permissions": "0755"}
	with := func(option, value string) map[string]any {
		dir := maps.Clone(good)
		dir[option] = value
		return dir
	}
	for says, dirs := range map[string]map[string]any{
		"absolute":                {"var/lib": good},
		`".." is not`:             {"/var/../lib": good},
		"control":                 {"/var/\nlib": good},
		"not a place for keys":    {"/nix/store/x": good},
		"are staged":              {"/srv/.colmena-go.x": good},
		"on every host":           {"/": good},
		"belongs to NixOS":        {"/run//keys/": good},
		"set twice":               {"/a/b": good, "/a//b": good},
		`"/a".user is "a:b"`:      {"/a": with("user", "a:b")},
		`"/a".group is ""`:        {"/a": with("group", "")},
		`"/a".permissions is "8"`: {"/a": with("permissions", "8")},
	} {
		node := aNode(nil)
		node["deployment"].(map[string]any)["keyDirectories"] = dirs
		_, err := DecodeNode(inEval(t, node))
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), `node "web": deployment.keyDirectories."`) {
			t.Errorf("%v: %v, want one that says %s", dirs, err, says)
		}
	}
}

func TestTwoKeysCannotHaveOnePath(t *testing.T) {
	_, err := DecodeNode(inEval(t, aNode(map[string]any{
		"a": aKey(nil), "b": aKey(map[string]any{"destDir": "/run//keys/"}),
	})))
	if err == nil || !strings.Contains(err.Error(), "/run/keys/k") || !strings.Contains(err.Error(), `"a"`) || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("error %v, want one that names both keys and the path", err)
	}
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	node := aNode(map[string]any{"a": aKey(map[string]any{"permissions": "8"}), "b": aKey(map[string]any{"name": "x/y"})})
	node["deployment"].(map[string]any)["targetHost"] = "-oProxyCommand=evil"
	node["deployment"].(map[string]any)["targetPort"] = 70000
	_, err := DecodeNode(inEval(t, node))
	for _, word := range []string{"permissions", "slash", "targetHost", "targetPort"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not say %q", err, word)
		}
	}
}

func TestAMissingNodeIsNamedWithAHint(t *testing.T) {
	for patterns, want := range map[string]string{
		`"webb"`:          `no node matches "webb"; did you mean web?`,
		`"webb","@prod"`:  `no node matches "webb", "@prod"; did you mean web?`,
		`"WEB"`:           `no node matches "WEB"; did you mean web?`,
		`"!webb","! wbe"`: `no node matches "!webb", "! wbe"; did you mean web?`,
		`"prod"`:          `no node matches "prod"; the nodes are web; a tag is written @prod`,
		`"@prod"`:         `no node matches "@prod"; the tags are @edge`,
		`"@egde"`:         `no node matches "@egde"; did you mean @edge?`,
		`"web db"`:        `no node matches "web db"; patterns are separated by commas`,
	} {
		text := `{"meta":{},"names":["web"],"selected":[],"tags":["edge"],"unmatched":[` + patterns + `]}`
		if _, err := DecodeHead([]byte(text)); !errors.Is(err, ErrNoMatch) || err.Error() != want {
			t.Errorf("%s: %v\n   want %s", patterns, err, want)
		}
	}
}

func TestAMissingNodeThatIsNamedWithoutAPatternHasNoHintOfPatterns(t *testing.T) {
	for name, want := range map[string]string{
		"@edge": `no node matches "@edge"; the nodes are web`,
		"a b":   `no node matches "a b"; the nodes are web`,
		"webb":  `no node matches "webb"; did you mean web?`,
	} {
		u := &Unmatched{Patterns: []string{Literal(name)}, Nodes: []string{"web"}, Tags: []string{"edge"}}
		if err := u.Node(name); !errors.Is(err, ErrNoMatch) || err.Error() != want {
			t.Errorf("%s: %v\n   want %s", name, err, want)
		}
	}
}

func TestABrokenDocumentIsNotQuoted(t *testing.T) {
	whole := string(inEval(t, aNode(map[string]any{"attr": aKey(nil)})))
	for _, text := range []string{
		whole[:len(whole)/2],
		strings.Replace(whole, `"tags":["t"]`, `"tags":"hunter2"`, 1),
		strings.Replace(whole, `"text":"hunter2"`, `"text":{"hunter2":1}`, 1),
		strings.Replace(whole, `"name":"k"`, `"name":{"hunter2":nan}`, 1),
		"", "hunter2", `{"deployment":"hunter2"}`,
	} {
		_, err := DecodeNode([]byte(text))
		if !errors.Is(err, ErrDecode) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error %v, want ErrDecode without the text", err)
		}
	}
}

func TestAKeyFileInTheStoreDrawsAWarning(t *testing.T) {
	node, err := DecodeNode(inEval(t, aNode(map[string]any{
		"there": aKey(map[string]any{"text": nil, "keyFile": "/nix/store/x-token"}),
		"gone":  aKey(map[string]any{"name": "gone", "text": nil, "keyFile": "/nix/store/x-gone"}),
		"built": aKey(map[string]any{"name": "built", "text": nil, "keyFile": "/nix/store/x-built", "builds": []string{"/nix/store/x.drv!out"}}),
		"safe":  aKey(map[string]any{"name": "safe", "text": nil, "keyFile": "/run/x-token"}),
	})))
	if err != nil {
		t.Fatal(err)
	}
	node.WarnStored(func(path string) bool { return path != "/nix/store/x-gone" && path != "/nix/store/x-built" })
	if all := strings.Join(node.Warnings, "\n"); len(node.Warnings) != 2 || !strings.Contains(all, `"there"`) || !strings.Contains(all, `"built"`) {
		t.Errorf("warnings %q", node.Warnings)
	}
}

// The replacement character stands for what a log of Nix cannot hold. A text may
// have one of its own, as it is in no log.
func TestWhatIsNotUTF8IsRefused(t *testing.T) {
	for change, refused := range map[[2]string]bool{{"text", "\ufffd"}: false, {"user", "\ufffd"}: true} {
		node := aNode(map[string]any{"attr": aKey(map[string]any{change[0]: change[1]})})
		if got, err := DecodeNode(inEval(t, node)); errors.Is(err, ErrEncoding) != refused || got.Name != "web" {
			t.Errorf("%q: %v, node %q", change, err, got.Name)
		}
	}
	bad := strings.Replace(string(inEval(t, aNode(nil))), `"tags":["t"]`, "\"tags\":[\"\xff\"]", 1)
	if _, err := DecodeNode([]byte(bad)); !errors.Is(err, ErrEncoding) {
		t.Errorf("%v, want ErrEncoding", err)
	}
}

func TestUnitsAreNamedAsSystemdEscapes(t *testing.T) {
	for attr, want := range map[string]string{
		"acme-credentials.secret": "acme-credentials.secret-key.service",
		"a b":                     `a\x20b-key.service`,
		"100%":                    `100\x25-key.service`,
		"mail@example.org":        "mail@example.org-key.service",
		"a@b@":                    "a@b@-key.service",
		"@a":                      `\x40a-key.service`,
		".hidden":                 `\x2ehidden-key.service`,
		`a\b`:                     `a\x5cb-key.service`,
		"ü":                       `\xc3\xbc-key.service`,
	} {
		if got := (Key{Attr: attr}).Unit(); got != want {
			t.Errorf("%q: %s, want %s", attr, got, want)
		}
	}
}

func TestATargetThatIsToldAheadIsValidated(t *testing.T) {
	for _, d := range []string{`"targetHost":"-oProxyCommand=x"`, `"targetHost":""`, `"targetHost":"h","targetPort":0`, `"targetHost":"h","targetUser":"a b"`} {
		if _, _, err := DecodeTarget([]byte(`{"name":"web","deployment":{` + d + `}}`)); err == nil || !strings.Contains(err.Error(), `"web"`) {
			t.Errorf("%s: %v", d, err)
		}
	}
	if _, _, err := DecodeTarget([]byte("{\"name\":\"web\",\"deployment\":{\"targetHost\":\"h\xff\"}}")); !errors.Is(err, ErrEncoding) {
		t.Error(err)
	}
	for _, text := range []string{"", "hunter2", `{"deployment":"hunter2"}`} {
		if _, _, err := DecodeTarget([]byte(text)); !errors.Is(err, ErrDecode) || strings.Contains(err.Error(), "hunter2") {
			t.Error(err)
		}
	}
}
