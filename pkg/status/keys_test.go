package status

import (
	"reflect"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

func TestKeysAreInTheirPlacesAsFarAsThatIsSeen(t *testing.T) {
	key := func(user, group string, mode uint32) hive.Key {
		return hive.Key{Attr: "k", Name: "token", DestDir: "/run/keys", User: user, Group: group, Mode: mode}
	}
	file := File{Regular: true, Mode: 0o640, UID: 5, GID: 7, User: "acme", Group: "nginx"}
	nobody := File{Regular: true, Mode: 0o640, UID: 5, GID: 7, User: "UNKNOWN", Group: "UNKNOWN"}
	link := file
	link.Regular = false
	for name, c := range map[string]struct {
		key  hive.Key
		file *File
		want Key
	}{
		"as it is to be":       {key("acme", "nginx", 0o640), &file, Key{Place: InPlace}},
		"by numbers":           {key("5", "7", 0o640), &nobody, Key{Place: InPlace}},
		"missing":              {key("acme", "nginx", 0o640), nil, Key{Place: Missing}},
		"another owner":        {key("root", "nginx", 0o640), &file, Key{Place: Drifted, Note: "owned by acme:nginx and not root:nginx"}},
		"an owner that's gone": {key("acme", "nginx", 0o640), &nobody, Key{Place: Drifted, Note: "owned by 5:7 and not acme:nginx"}},
		"another mode":         {key("acme", "nginx", 0o600), &file, Key{Place: Drifted, Note: "mode 0640 and not 0600"}},
		"a link":               {key("acme", "nginx", 0o640), &link, Key{Place: Drifted, Note: "something that is not a regular file is there"}},
	} {
		s := State{Files: map[string]File{}}
		if c.file != nil {
			s.Files["/run/keys/token"] = *c.file
		}
		c.want.Name, c.want.Path = "k", "/run/keys/token"
		if got := s.Keys([]hive.Key{c.key}); !reflect.DeepEqual(got, []Key{c.want}) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	if got := Paths([]hive.Key{key("a", "b", 0)}); !reflect.DeepEqual(got, []string{"/run/keys/token"}) {
		t.Errorf("%q", got)
	}
}

func TestKeysWhoseContentWasComparedToo(t *testing.T) {
	for name, c := range map[string]struct {
		outlook plan.KeyOutlook
		want    Key
	}{
		"the same":          {plan.KeyOutlook{Change: plan.Unchanged}, Key{Place: InPlace}},
		"missing":           {plan.KeyOutlook{Change: plan.Changed, New: true}, Key{Place: Missing}},
		"another content":   {plan.KeyOutlook{Change: plan.Changed, Differs: []string{"content", "mode"}}, Key{Place: Drifted, Note: "another content, mode"}},
		"another owner":     {plan.KeyOutlook{Change: plan.Mended, Differs: []string{"owner"}}, Key{Place: Drifted, Note: "another owner"}},
		"nobody to give to": {plan.KeyOutlook{Change: plan.Unchanged, Note: "user acme does not exist yet"}, Key{Place: Drifted, Note: "user acme does not exist yet"}},
	} {
		c.outlook.Name, c.outlook.Path, c.want.Name, c.want.Path = "k", "/k", "k", "/k"
		if got := Looked([]plan.KeyOutlook{c.outlook}); !reflect.DeepEqual(got, []Key{c.want}) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
