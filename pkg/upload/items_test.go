package upload

import (
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// item is a key with the defaults of deployment.keys.
func item(name, content string, change ...func(*hive.Key)) Item {
	key := hive.Key{Attr: name, Name: name, DestDir: "/run/keys", User: "root", Group: "root", Mode: 0o600}
	for _, f := range change {
		f(&key)
	}
	return Item{Key: key, Content: secret.New([]byte(content))}
}

func in(dir string) func(*hive.Key) { return func(k *hive.Key) { k.DestDir = dir } }

func as(attr string) func(*hive.Key) { return func(k *hive.Key) { k.Attr = attr } }

func owned(user, group string, mode uint32) func(*hive.Key) {
	return func(k *hive.Key) { k.User, k.Group, k.Mode = user, group, mode }
}
