package keysource

import (
	"slices"
	"sync"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

func TestWhichCommandsANodeWaitsForIsToldWithoutTheirArguments(t *testing.T) {
	key := command("printf", "hunter2")
	key.Attr = "token"
	var mu sync.Mutex
	var told []string
	r := &Resolver{Working: func(node, what string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, node+" "+what)
	}}
	if _, err := r.Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{key, {Attr: "c", File: "/etc/hostname"}}}, silent); err != nil {
		t.Fatal(err)
	}
	if want := []string{"web token: printf", "web "}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

func TestOfManyCommandsTheOldestIsTold(t *testing.T) {
	var told string
	w := &working{tell: func(what string) { told = what }}
	first := w.begin("a: vault")
	second := w.begin("b: pass")
	if told != "a: vault, and 1 more" {
		t.Errorf("told %q", told)
	}
	first()
	if told != "b: pass" {
		t.Errorf("told %q", told)
	}
	second()
	if told != "" {
		t.Errorf("told %q", told)
	}
}
