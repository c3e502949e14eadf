package plan

import (
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// digestOf stands for a content.
func digestOf(content string) secret.Digest { return secret.New([]byte(content)).Digest() }

func wanted(name, content string, change ...func(*hive.Key)) WantedKey {
	key := hive.Key{Attr: name, Name: name, DestDir: "/run/keys", User: "root", Group: "root", Mode: 0o600}
	for _, f := range change {
		f(&key)
	}
	return WantedKey{Key: key, Size: int64(len(content)), Digest: digestOf(content)}
}

func owner(user, group string) func(*hive.Key) {
	return func(k *hive.Key) { k.User, k.Group = user, group }
}

func has(content string, uid, gid int, mode uint32) FileState {
	return FileState{Present: true, Mode: mode, UID: uid, GID: gid, Size: int64(len(content)), Digest: digestOf(content)}
}

func withACL(f FileState) FileState {
	f.ACL = true
	return f
}

func host(files map[string]FileState) Observed {
	return Observed{
		Users:  map[string]int{"root": 0, "acme": 100, "4": 44},
		Groups: map[string]int{"root": 0, "nginx": 101},
		Dirs: map[string]DirState{
			"/run/keys": {ID: "1:1", RootOnly: true, Volatile: true},
			"/home/u":   {ID: "1:2"},
			"/link":     {ID: "1:1", RootOnly: true},
		},
		Files: files,
	}
}

func at(dir string) func(*hive.Key) { return func(k *hive.Key) { k.DestDir = dir } }

// Each case is a hive, a host and the plan a user would see.
func TestPlansReadAsWhatWillHappen(t *testing.T) {
	strict, lenient := Policy{}, Policy{AbsentOwnerIsRoot: true}
	cases := []struct {
		name   string
		key    WantedKey
		files  map[string]FileState
		policy Policy
		want   string
	}{
		{"a new key is sent", wanted("k", "v"), nil, strict,
			"changed /run/keys/k 0:0 0600"},
		{"another content is sent", wanted("k", "v"), map[string]FileState{"/run/keys/k": has("w", 0, 0, 0o600)}, strict,
			"changed /run/keys/k 0:0 0600"},
		{"another size is sent, though nothing was hashed", wanted("k", "v"), map[string]FileState{"/run/keys/k": {Present: true, Mode: 0o600, Size: 9}}, strict,
			"changed /run/keys/k 0:0 0600"},
		{"the same key is left alone", wanted("k", "v"), map[string]FileState{"/run/keys/k": has("v", 0, 0, 0o600)}, strict,
			"unchanged /run/keys/k"},
		{"a wrong owner is mended in place", wanted("k", "v", owner("acme", "nginx")), map[string]FileState{"/run/keys/k": has("v", 0, 0, 0o600)}, strict,
			"mended /run/keys/k 100:101 0600 in place"},
		{"a wrong mode is mended in place", wanted("k", "v"), map[string]FileState{"/run/keys/k": has("v", 0, 0, 0o644)}, strict,
			"mended /run/keys/k 0:0 0600 in place"},
		{"where others can write, a fresh file mends", wanted("k", "v", at("/home/u")), map[string]FileState{"/home/u/k": has("v", 5, 0, 0o600)}, strict,
			"mended /home/u/k 0:0 0600"},
		{"a fresh file takes the place of one that its owner may have open", wanted("k", "v"), map[string]FileState{"/run/keys/k": has("v", 100, 0, 0o600)}, strict,
			"mended /run/keys/k 0:0 0600"},
		{"and of one that others may have open", wanted("k", "v"), map[string]FileState{"/run/keys/k": has("v", 0, 101, 0o620)}, strict,
			"mended /run/keys/k 0:0 0600"},
		{"and of one that a list opens to others", wanted("k", "v"), map[string]FileState{"/run/keys/k": withACL(has("v", 0, 0, 0o600))}, strict,
			"mended /run/keys/k 0:0 0600"},
		{"numbers are ids", wanted("k", "v", owner("1234", "77")), nil, strict,
			"changed /run/keys/k 1234:77 0600"},
		{"ids have 32 bits", wanted("k", "v", owner("3000000000", "root")), nil, strict,
			"changed /run/keys/k 3000000000:0 0600"},
		{"unless a user bears the number as a name", wanted("k", "v", owner("4", "root")), nil, strict,
			"changed /run/keys/k 44:0 0600"},
		{"root stands in for an owner who is yet to be made", wanted("k", "v", owner("later", "nginx")), nil, lenient,
			"changed /run/keys/k 0:101 0600 (user later does not exist yet: root owns it until the activation)"},
		{"or for a user and a group", wanted("k", "v", owner("later", "later")), nil, lenient,
			"changed /run/keys/k 0:0 0600 (user later and group later do not exist yet: root owns it until the activation)"},
		{"keys in memory are left out before a reboot", wanted("k", "v"), nil, Policy{SkipVolatile: true},
			"skipped /run/keys/k (/run/keys does not survive the reboot; run upload-keys after it)"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			steps, err := Keys([]WantedKey{c.key}, host(c.files), c.policy, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSpace(steps.String()); got != c.want {
				t.Errorf("plan:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

func TestEveryKeyThatCannotBeDeliveredIsNamed(t *testing.T) {
	steps, err := Keys([]WantedKey{
		wanted("fine", "v"),
		wanted("ghost", "v", owner("nobody-here", "root")),
		wanted("club", "v", owner("root", "no-such-group")),
		wanted("blocked", "v"),
		wanted("twin", "v", func(k *hive.Key) { k.Name, k.DestDir = "fine", "/link" }),
		wanted("late", "v", at("/home/u")),
	}, host(map[string]FileState{"/run/keys/blocked": {Obstacle: "a directory"}}), Policy{}, Places{"1:2/late": "early"})
	if steps != nil {
		t.Error("there is a plan in spite of the errors")
	}
	problems, ok := err.(*multierror.Error)
	if !ok || len(problems.Errors) != 5 {
		t.Fatalf("error %v, want five", err)
	}
	for i, words := range [][]string{{"ghost", "user", "nobody-here"}, {"club", "group", "no-such-group"},
		{"blocked", "/run/keys/blocked", "a directory"}, {"twin", "fine", "same file"}, {"late", "early", "same file"}} {
		for _, word := range words {
			if !strings.Contains(problems.Errors[i].Error(), word) {
				t.Errorf("%q does not say %q", problems.Errors[i], word)
			}
		}
	}
}

func TestAKeyOfAnEarlierPhaseMayComeAgain(t *testing.T) {
	earlier := Places{}
	for range 2 {
		steps, err := Keys([]WantedKey{wanted("k", "v")}, host(nil), Policy{}, earlier)
		if err != nil {
			t.Fatal(err)
		}
		earlier.Add(steps)
	}
}

func TestAUserAndAGroupThatAreMissingAreToldTogether(t *testing.T) {
	_, err := Keys([]WantedKey{wanted("k", "v", owner("nobody-here", "none-here"))}, host(nil), Policy{}, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "2 problems:\n") || !strings.Contains(err.Error(), `user "nobody-here"`) || !strings.Contains(err.Error(), `group "none-here"`) {
		t.Errorf("%v, want both", err)
	}
}

func TestOwnersMayBeAbsentOnlyWhereActivationMakesThem(t *testing.T) {
	lenient, boot := Policy{AbsentOwnerIsRoot: true}, Policy{AbsentOwnerIsRoot: true, SkipVolatile: true}
	for goal, want := range map[hive.Goal][2]Policy{
		hive.Switch: {lenient, {}}, hive.Test: {lenient, {}}, hive.Boot: {boot, boot}, hive.Keys: {{}, {}},
	} {
		if got := [2]Policy{PolicyFor(goal, hive.PreActivation), PolicyFor(goal, hive.PostActivation)}; got != want {
			t.Errorf("%s: %+v, want %+v", goal, got, want)
		}
	}
}

func TestAPlanIsIdleWhenNothingOnTheHostWouldChange(t *testing.T) {
	same := map[string]FileState{"/run/keys/k": has("v", 0, 0, 0o600)}
	for want, key := range map[bool]WantedKey{true: wanted("k", "v"), false: wanted("k", "w")} {
		steps, err := Keys([]WantedKey{key}, host(same), Policy{}, nil)
		if err != nil || steps.Idle() != want {
			t.Errorf("idle %v, %v; want %v", steps.Idle(), err, want)
		}
	}
}
