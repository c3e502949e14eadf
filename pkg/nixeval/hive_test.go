package nixeval

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nix"
	"github.com/colmena-go/colmena-go/tests/hostile"
	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// Hives as people write them for Colmena. Each node tells through its tags
// what reached it.
func TestAHiveWrittenForColmenaEvaluatesUnchanged(t *testing.T) {
	cases := []struct{ name, hive, node, want string }{
		{"a set with modules of every form", `{
			a.deployment.tags = [ "set" ];
			b = { ... }: { deployment.tags = [ "function" ]; };
			c = [ { deployment.tags = [ "list" ]; } ({ ... }: { deployment.tags = [ "of both" ]; }) ];
		}`, "c", "of both list"},
		{"a function without arguments to give", `{ who ? "default", ... }: { a.deployment.tags = [ who ]; }`, "a", "default"},
		{"a functor", `{ __functor = self: { }: { a.deployment.tags = [ "functor" ]; }; }`, "a", "functor"},
		{"defaults come before the node's own", `{ defaults.deployment.tags = [ "d" ]; a.deployment.tags = [ "own" ]; }`, "a", "own d"},
		{"network is meta's old name", `{ network.specialArgs.x = "y"; a = { x, ... }: { deployment.tags = [ x ]; }; }`, "a", "y"},
		{"dots in names", `{ "web.example.org" = { name, ... }: { deployment.tags = [ name ]; }; }`, "web.example.org", "web.example.org"},
		{"nodes see each other", `{
			a.networking.hostName = "from-a";
			b = { nodes, ... }: { deployment.tags = [ nodes.a.config.networking.hostName ]; };
		}`, "b", "from-a"},
		{"special arguments, for all and for one", `{
			meta.specialArgs = { one = "1"; two = "2"; };
			meta.nodeSpecialArgs.a.two = "22";
			a = { one, two, ... }: { deployment.tags = [ one two ]; };
		}`, "a", "1 22"},
		{"nixpkgs as a path", `{ meta.nixpkgs = <nixpkgs>; a = { pkgs, ... }: { deployment.tags = [ (toString (pkgs ? lib)) ]; }; }`, "a", "1"},
		{"nixpkgs as the function", `{ meta.nixpkgs = import <nixpkgs>; a = { pkgs, ... }: { deployment.tags = [ (toString (pkgs ? lib)) ]; }; }`, "a", "1"},
		{"a node whose package set nobody may change", `{
			meta.nixpkgs = import <nixpkgs> { overlays = [ (final: prev: { greeting = "hello"; }) ]; };
			a = { pkgs, ... }: {
				imports = [ <nixpkgs/nixos/modules/misc/nixpkgs/read-only.nix> ];
				deployment.tags = [ pkgs.greeting ];
			};
		}`, "a", "hello"},
		{"overlays of meta.nixpkgs reach the nodes", `{
			meta.nixpkgs = import <nixpkgs> { overlays = [ (final: prev: { greeting = "hello"; }) ]; };
			a = { pkgs, ... }: { deployment.tags = [ pkgs.greeting ]; };
		}`, "a", "hello"},
		{"and so does its config", `{
			meta.nixpkgs = import <nixpkgs> { config.allowUnfree = true; };
			a = { config, lib, ... }: { deployment.tags = [ (lib.boolToString config.nixpkgs.config.allowUnfree) ]; };
		}`, "a", "true"},
		{"another nixpkgs for one node", `{
			meta.nodeNixpkgs.a = import <nixpkgs> { overlays = [ (final: prev: { greeting = "mine"; }) ]; };
			a = { pkgs, ... }: { deployment.tags = [ pkgs.greeting ]; };
		}`, "a", "mine"},
		{"nixpkgs for each node and none for all", `{
			meta.nodeNixpkgs.a = import <nixpkgs> { overlays = [ (final: prev: { greeting = "mine"; }) ]; };
			a = { pkgs, ... }: { deployment.tags = [ pkgs.greeting ]; };
		}`, "a", "mine"},
		{"nixpkgs as niv has a local one", `{ meta.nixpkgs = { type = "local"; path = "/x"; outPath = <nixpkgs>; }; a = { pkgs, ... }: { deployment.tags = [ (toString (pkgs ? lib)) ]; }; }`, "a", "1"},
		{"options of a module may have any name", `{ a = { imports = [ ({ lib, ... }: { options.specialArgs = lib.mkOption { }; }) ]; specialArgs = "own"; deployment.tags = [ "own" ]; }; }`, "a", "own"},
		{"meta as a module", `{ meta = { ... }: { imports = [ { specialArgs.x = "y"; } ]; }; a = { x, ... }: { deployment.tags = [ x ]; }; }`, "a", "y"},
		{"a module may lie in a file", `{ a = { imports = [ (builtins.toFile "m.nix" "{ deployment.tags = [ \"file\" ]; }") ]; }; }`, "a", "file"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h, err := evaluate(t, c.hive, "", Request{})
			if err != nil {
				t.Fatal(err)
			}
			if got := tag(h, c.node); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestTheOptionsHaveColmenasDefaults(t *testing.T) {
	h, err := evaluate(t, `{ web.deployment.keys.k.text = "s"; }`, "", Request{Keys: true})
	if err != nil {
		t.Fatal(err)
	}
	node := h.Nodes[0]
	if node.Target == nil || node.Target.Host != "web" || node.Target.User != "root" || node.Target.Port != 0 ||
		strings.Join(node.Target.Escalate, " ") != "sudo -H --" || !node.ReplaceUnknownProfiles || node.BuildOnTarget ||
		!h.Meta.AllowApplyAll || h.Meta.MachinesFile != "" {
		t.Errorf("%+v %+v", node, node.Target)
	}
	key := node.Keys[0]
	if key.Path() != "/run/keys/k" || key.User != "root" || key.Group != "root" || key.Mode != 0o600 || key.UploadAt != hive.PreActivation || string(key.Text.Reveal()) != "s" {
		t.Errorf("%+v", key)
	}
}

func TestSelectionHappensInsideTheEvaluation(t *testing.T) {
	const text = `{
		web-1.deployment.tags = [ "web" "eu" ];
		web-2.deployment.tags = [ "web" ];
		"db.1".deployment.tags = [ "db" ];
	}`
	for on, want := range map[string]string{
		"": "db.1 web-1 web-2", "web-1": "web-1", "web-*": "web-1 web-2", "@web": "web-1 web-2",
		"@e?,db.1": "db.1 web-1", "web-[2-9]": "web-2", "web-1,web-1": "web-1",
	} {
		h, err := evaluate(t, text, on, Request{})
		if err != nil {
			t.Errorf("%q: %v", on, err)
		} else if got := nodeNames(h); got != want {
			t.Errorf("%q: %s, want %s", on, got, want)
		}
	}
	for _, on := range []string{"web-1,nope", "@nope", "dbx1", "web"} {
		if _, err := evaluate(t, text, on, Request{}); !errors.Is(err, hive.ErrNoMatch) {
			t.Errorf("%q: %v, want ErrNoMatch", on, err)
		}
	}
}

// What a command does not ask for is not evaluated: here it would throw.
func TestNothingIsEvaluatedThatIsNotAskedFor(t *testing.T) {
	const text = `{
		bad = throw "bad was evaluated";
		badTags.deployment.tags = throw "badTags' tags were evaluated";
		good = { lib, ... }: {
			deployment.keys.k.text = throw "text was evaluated";
			system.build.toplevel = lib.mkForce (throw "toplevel was evaluated");
		};
	}`
	h, err := evaluate(t, text, "good", Request{})
	if err != nil || nodeNames(h) != "good" {
		t.Fatalf("%v", err)
	}
	// The system's assertions look whether there is a text, so that comes first.
	for want, request := range map[string]Request{"text was": {Keys: true}, "was evaluated": {Toplevel: true}} {
		if _, err := evaluate(t, text, "good", request); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q: the throw was not even reached", request, err, want)
		}
	}
}

func TestATagThatThrowsNamesItsNode(t *testing.T) {
	_, err := evaluate(t, `{ web.deployment.tags = [ "a" ]; db.deployment.tags = [ (throw "ow") ]; }`, "@a", Request{})
	if err == nil || !strings.Contains(err.Error(), `node "db"`) {
		t.Errorf("error %v, want one that names db", err)
	}
}

func TestTagsOfANodeThatIsExcludedAreNotRead(t *testing.T) {
	const text = `{ web.deployment.tags = [ "a" ]; db.deployment.tags = [ (throw "ow") ]; }`
	if h, err := evaluate(t, text, "@a,!db", Request{}); err != nil || nodeNames(h) != "web" {
		t.Errorf("%v", err)
	}
}

// The program refuses then, and nothing is evaluated for it.
func TestAHiveThatWantsNodesNamedEvaluatesNoneOtherwise(t *testing.T) {
	const text = `{ meta.allowApplyAll = false; web = throw "web was evaluated"; }`
	h, err := evaluate(t, text, "", Request{Guarded: true})
	if err != nil || len(h.Selected) > 0 || len(h.Nodes) > 0 {
		t.Errorf("%v", err)
	}
	if _, err := evaluate(t, text, "", Request{}); err == nil {
		t.Error("a hive that is not deployed is not guarded")
	}
}

func TestABrokenHiveIsExplained(t *testing.T) {
	cases := []struct {
		name, hive string
		says       []string
	}{
		{"unknown option", `{ web.deploymnet.tags = [ ]; }`, []string{`node "web"`, "deploymnet"}},
		{"unknown deployment option", `{ web.deployment.tag = "x"; }`, []string{`node "web"`, "deployment.tag"}},
		{"unknown meta option", `{ meta.allowAplyAll = true; web = { }; }`, []string{"allowAplyAll", "meta in the hive", "did you mean allowApplyAll?"}},
		{"meta and network", `{ meta.name = "a"; network.description = "b"; }`, []string{"meta", "network"}},
		{"no source", `{ web.deployment.keys.k = { }; }`, []string{`"web"`, `"k"`, "exactly one"}},
		{"two sources", `{ web.deployment.keys.k = { text = "s3cret"; keyFile = "/x"; }; }`, []string{`"web"`, `"k"`, "text", "keyFile"}},
		{"a hive that is no set", `[ ]`, []string{"attribute set"}},
		{"a syntax error", `{ web = `, []string{"syntax error"}},
		{"a throw", `{ web = throw "my own words"; }`, []string{`node "web"`, "my own words"}},
		{"text that is not UTF-8", "{ web.deployment.keys.\"a b\".text = \"s3cret\xff\"; }", []string{`"web"`, `"a b"`, "UTF-8", "keyFile"}},
		{"a throw beside a secret", `{ web = { deployment.keys.k.text = "s3cret"; deployment.tags = throw "my own words"; }; }`, []string{`node "web"`, "my own words"}},
		{"a syntax error has its place", "{ web = { };\n db = }", []string{"hive.nix:2:"}},
		{"an undefined variable beside a secret", `{ web = { deployment.keys.k.text = "s3cret"; deployment.tags = [ unheardOf ]; }; }`, []string{"undefined variable [not shown] at /", "hive.nix:1:"}},
		{"a missing attribute", `{ web.deployment.tags = { }.password; }`, []string{"attribute 'password' missing"}},
		{"a missing file", `{ web.deployment.keys.k.text = builtins.readFile /etc/no/such/file; }`, []string{"/etc/no/such/file'", "No such file|does not exist"}},
		{"a missing file whose name may be a secret", `{ web.deployment.keys.k.text = builtins.readFile "/s3cret/file"; }`, []string{"opening file [not shown]: No such file or directory|path [not shown] does not exist"}},
		{"a folder for a file", `{ web.deployment.keys.k.text = builtins.readFile "/etc"; }`, []string{"Is a directory"}},
		{"an abort", `{ web = abort "my own words"; }`, []string{`node "web"`, "my own words"}},
		{"an abort in a key", `{ web.deployment.keys.k.text = abort "my own words"; }`, []string{"my own words"}},
		{"an abort with a value in it", `{ web = { name, ... }: { deployment.keys.k.text = abort "s3cret of ${name}"; }; }`, []string{"error message [not shown]"}},
		{"pkgs that no argument brings", `{ ... }: { x = "${pkgs.bash}"; }`, []string{"undefined variable 'pkgs'", "add it to the module's arguments, as in `{ pkgs, ... }:`"}},
		{"an option that is there already", `{ web = { lib, ... }: { options.deployment.tags = lib.mkOption { default = [ ]; }; }; }`, []string{"The option `deployment.tags' in ", "is already declared in "}},
		{"one option that Morph has", `{ network.evalConfig = "x"; network.description = "x"; web = { }; }`, []string{"there is no meta.evalConfig: Morph's is that of meta.nixpkgs here; leave it out"}},
		{"values of other options are shown", `{ web.networking.hostName = [ "shown" ]; }`, []string{"not of type", "shown"}},
		{"failed assertions, whole and without the way there", "{ web.assertions = [ { assertion = false; message = \"first\nat second\"; } { assertion = false; message = \"third\"; } ]; }", []string{"Failed assertions:\n- first\nat second\n- third"}},
		{"a throw in a module has its place", "{ web = { lib, ... }: {\n  networking.hostName = lib.mkForce (throw \"my own words\"); }; }", []string{"my own words", "networking.hostName"}},
		{"a mistyped tag is shown", `{ web.deployment.tags = "shown"; }`, []string{"deployment.tags", "shown", "list of string"}},
		{"and a mistyped target", `{ web.deployment.targetHost = [ "shown" ]; }`, []string{"deployment.targetHost", "shown"}},
		{"a module for the hive", `{ config, pkgs, ... }: { networking.hostName = "web"; }`, []string{"the hive is a function that needs config, as a module does", "NODE = ./configuration.nix"}},
		{"a derivation for the hive", `derivation { name = "x"; system = "x86_64-linux"; builder = "/bin/sh"; }`, []string{"this is a derivation, and no hive"}},
		{"a nixpkgs for the hive", `import <nixpkgs> { }`, []string{"this is a nixpkgs, and no hive"}},
		{"a configuration for the hive", `import <nixpkgs/nixos/lib/eval-config.nix> { system = "x86_64-linux"; modules = [ ]; }`, []string{"this is one configuration that was evaluated, and no hive"}},
		{"a misspelt node", `{ web-1 = { }; web = { nodes, ... }: { deployment.tags = [ nodes.web-2.config.networking.hostName ]; }; }`, []string{"attribute 'web-2' missing (did you mean ", "web-1"}},
		{"a misspelt node in quotes, in a key", `{ web-1 = { }; web = { nodes, ... }: { deployment.keys.k.keyCommand = [ nodes."web-2".config.networking.hostName ]; }; }`, []string{"attribute 'web-2' missing (did you mean ", "hive.nix:1:"}},
		{"a node whose name is computed", `{ web-1 = { }; web = { nodes, ... }: { deployment.tags = map (n: nodes.${n}.config.networking.hostName) [ "web-3" ]; }; }`, []string{"attribute 'web-3' missing (did you mean "}},
		{"a misspelt option in a key", `{ web = { config, ... }: { deployment.keys.k.user = config.networking.hostNam; }; }`, []string{"attribute 'hostNam' missing (did you mean hostName?)"}},
		{"a missing package in a key", `{ web = { pkgs, ... }: { deployment.keys.k.keyCommand = [ "${pkgs.sopss}/bin/sops" ]; }; }`, []string{"attribute 'sopss' missing"}},
		{"a missing attribute outside options", `{ web = { lib, ... }: { imports = [ lib.ngnix ]; }; }`, []string{"attribute 'ngnix' missing", "hive.nix:1:"}},
		{"an argument that recurses", `{ web = { pkgs, ... }: { imports = [ pkgs.ngnix ]; }; }`, []string{"infinite recursion", "`pkgs'", "meta.specialArgs"}},
		{"pkgs that decide what a node is", `{ web = { pkgs, ... }: pkgs.callPackage ({ lib }: { }) { }; }`, []string{"infinite recursion", "imports = [ ./FILE ];"}},
		{"imports that depend on another node", `{ web = { nodes, lib, ... }: { imports = lib.optional (nodes.db.config.networking.hostName == "b") { }; };
			db = { nodes, lib, ... }: { imports = lib.optional (nodes.web.config.networking.hostName == "a") { }; }; }`, []string{"infinite recursion", "hive.nix:", "nodes.NODE.config"}},
		{"a string for a node", `{ web = "s3cret"; }`, []string{`node "web"`, "web in the hive is a string"}},
		{"a function that takes too little", `{ web = { lib }: { }; }`, []string{"hive.nix:1:9", "called with unexpected argument '", "{ lib, ... }:"}},
		{"a set for nixpkgs", `{ meta.nixpkgs = { path = "/x"; }; web = { }; }`, []string{"meta.nixpkgs must be a path"}},
		{"machines as a string", `{ meta.machinesFile = "./machines"; web = { }; }`, []string{"machinesFile", "as in ./machines"}},
		{"a name that everybody knows", `{ web.imports = [ inputs.x.y ]; }`, []string{"undefined variable 'inputs'", "meta.specialArgs"}},
		{"systems for nodes", `{ x86_64-linux = { web = { }; }; }`, []string{"a node named x86_64-linux", "meta.nixpkgs"}},
		{"path is read-only", `{ web.deployment.keys.k = { text = "s3cret"; path = "/x"; }; }`, []string{`node "web"`, "read-only"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			request := Request{Keys: true, Toplevel: strings.Contains(c.hive, "networking") || strings.Contains(c.hive, "assertions")}
			_, err := evaluate(t, c.hive, "", request)
			if err == nil {
				t.Fatal("no error")
			}
			for _, word := range c.says {
				if !says(err, word) {
					t.Errorf("%v\ndoes not say %q", err, word)
				}
			}
			if lines := strings.Count(err.Error(), "\n"); lines > 5 {
				t.Errorf("%v\nhas %d lines", err, lines)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v\nshows a secret", err)
			}
		})
	}
}

// says reports whether an error has one of words, which are parted by "|": versions
// of Nix put some things in their own way.
func says(err error, words string) bool {
	return slices.ContainsFunc(strings.Split(words, "|"), func(word string) bool { return strings.Contains(err.Error(), word) })
}

func TestNoErrorShowsASecret(t *testing.T) {
	for _, h := range hostile.Hives {
		t.Run(h.Name, func(t *testing.T) {
			source, log := hostileHive(t, h), bytes.Buffer{}
			_, err := evaluated(t, Tool{Tool: nix.Tool{Log: zerolog.New(&log), Options: [][2]string{{"download-attempts", "1"}}}}, source, Request{Keys: true, Toplevel: true})
			if err == nil {
				t.Fatal("no error")
			}
			for _, word := range h.Says {
				if !says(err, word) {
					t.Errorf("%v\ndoes not say %q", err, word)
				}
			}
			for _, said := range []string{err.Error(), log.String()} {
				hasNoSecret(t, said)
			}
			if strings.Contains(err.Error(), nix.NotShown) != strings.Contains(err.Error(), "--show-trace shows it") {
				t.Errorf("%v\ndoes not say how it is shown", err)
			}
		})
	}
}

func TestTheWholeTraceIsWhatNixSays(t *testing.T) {
	for hive, says := range map[string]string{
		`{ web.deployment.keys.k.text = "shown" }`:                         `text = "shown" }`,
		`{ web.deployment.keys.k.text = [ "shown" ]; }`:                    `"shown"`,
		`{ web.deployment.keys.k.text = shown; }`:                          "undefined variable 'shown'",
		`{ web.deployment.keys.k.text = assert "shown" == "other"; "v"; }`: `("shown" == "other")`,
		`{ web.deployment.targetHost = [ "shown" ]; }`:                     `"shown"`,
		`{ web.deployment.keys.k.text = builtins.readFile (derivation { name = "x"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo shown >&2; exit 1" ]; }); }`: "\n> shown",
		`{ web.deployment.keys.k.text = builtins.readFile "shown"; }`:                          "'shown'",
		`{ web = { name, ... }: { deployment.keys.k.text = throw "the token of ${name}"; }; }`: "the token of web",
	} {
		_, err := evaluated(t, Tool{ShowTrace: true}, hiveFile(t, hive), Request{Keys: true})
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), nix.NotShown) {
			t.Errorf("%s: %v\ndoes not say %q", hive, err, says)
		}
	}
}

func TestAKeyFileNeverEntersTheStore(t *testing.T) {
	h, err := evaluate(t, `{ web.deployment.keys = { quoted.keyFile = "/root/secret"; path.keyFile = /etc/hostname; }; }`, "", Request{Keys: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range h.Nodes[0].Keys {
		if strings.HasPrefix(key.File, "/nix/store") || key.File == "" {
			t.Errorf("%s: %q", key.Attr, key.File)
		}
	}
}

func TestASystemIsBuiltAndKnown(t *testing.T) {
	h, err := evaluate(t, `{ web = { fileSystems."/".device = "/dev/vda1"; boot.loader.grub.enable = false; system.stateVersion = "26.05"; deployment.keys.k.text = "s3cret"; }; }`, "", Request{Toplevel: true})
	if err != nil {
		t.Fatal(err)
	}
	top := h.Nodes[0].Toplevel
	if err := (Tool{}).Realise(t.Context(), []string{top.DrvPath + "!out"}, nil); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{top.OutPath: true, "/nix/store/00000000000000000000000000000000-none": false} {
		if known, err := (Tool{}).Known(t.Context(), path); err != nil || known != want {
			t.Errorf("%s: %v, %v", path, known, err)
		}
	}
}

func TestATargetIsAnnouncedBeforeItsSystemIsEvaluated(t *testing.T) {
	const text = `{
		a = { deployment.targetHost = "a.example"; deployment.targetPort = 2222; networking.hostName = builtins.trace "system of a" "a";
			deployment.keys.k.text = "s3cret"; };
		b = { deployment.targetHost = null; networking.hostName = builtins.trace "system of b" "b"; };
		c = { networking.hostName = "c"; };
	}`
	source := hiveFile(t, text)
	selector, err := hive.ParseSelector("a,b")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	var told []string
	request := Request{Selector: selector, Toplevel: true, Keys: true, Announce: true}
	hooks := Hooks{Announced: func(text []byte) {
		name, target, err := hive.DecodeTarget(text)
		if err != nil || strings.Contains(log.String(), "system of "+name) || bytes.Contains(text, []byte("s3cret")) {
			t.Errorf("%s: %v; after %s", text, err, &log)
		}
		if target != nil {
			name += " at " + target.String()
		}
		told = append(told, name)
	}}
	if err := New(Tool{Tool: nix.Tool{Log: zerolog.New(&log)}}, source).Run(t.Context(), Part{Request: request, Most: 9}, hooks); err != nil {
		t.Fatal(err)
	}
	slices.Sort(told)
	if want := []string{"a at root@a.example:2222", "b"}; !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
	if said := log.String(); !strings.Contains(said, "system of a") || strings.Contains(said, "example") {
		t.Errorf("the log, where the hive's own traces belong: %s", said)
	}

	log.Reset()
	if _, err := evaluated(t, Tool{Tool: nix.Tool{Log: zerolog.New(&log)}}, source, Request{Toplevel: true}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(log.String(), "example") {
		t.Errorf("nobody wanted to know, and it says %s", &log)
	}
}

func TestAnErrorInATargetNamesItsNode(t *testing.T) {
	_, err := evaluate(t, `{ a = { }; web.deployment.targetHost = throw "ow"; }`, "", Request{Toplevel: true, Announce: true})
	if err == nil || !strings.Contains(err.Error(), `node "web"`) {
		t.Errorf("%v", err)
	}
}

// <nixpkgs> is not looked for where every node has its own.
func TestNodesWithANixpkgsEachNeedNoOther(t *testing.T) {
	source := hiveFile(t, "{ meta.nodeNixpkgs.a = import "+nixenv.Use(t)+" { }; a.deployment.tags = [ \"t\" ]; }")
	t.Setenv("NIX_PATH", "nixpkgs=/no/such/nixpkgs")
	h, err := evalSource(t, source, "", Request{Toplevel: true})
	if err != nil || tag(h, "a") != "t" {
		t.Errorf("%v", err)
	}
}

func TestWhatKeysNeedInTheStoreIsKnown(t *testing.T) {
	const text = `{ web = { pkgs, ... }: let tool = pkgs.writeScript "tool" ("#!/bin/sh\nexec cat # ${toString builtins.currentTime}"); in { deployment.keys = {
		command.keyCommand = [ "${tool}" "/dev/null" ];
		file.keyFile = "${tool}";
		text.text = "run ${tool}";
		none.keyCommand = [ "cat" "/dev/null" ];
	}; }; }`
	for _, keys := range []bool{true, false} {
		h, err := evaluate(t, text, "", Request{Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		needs := map[string]int{"command": 1, "file": 1}
		for _, key := range h.Nodes[0].Keys {
			if len(key.Builds) != needs[key.Attr] {
				t.Errorf("%s needs %q", key.Attr, key.Builds)
			}
			if keys && key.Attr == "command" {
				if _, err := os.Stat(key.Command[0]); err == nil {
					t.Error("the command is built already: this shows nothing")
				}
				if err := (Tool{}).Realise(t.Context(), key.Builds, nil); err != nil {
					t.Error(err)
				}
				if _, err := os.Stat(key.Command[0]); err != nil {
					t.Error(err)
				}
			}
		}
		warned := slices.ContainsFunc(h.Nodes[0].Warnings, func(w string) bool {
			return strings.Contains(w, `deployment.keys."text".text names store paths`) && strings.Contains(w, "(tool)")
		})
		if warned != keys {
			t.Errorf("warnings are %q", h.Nodes[0].Warnings)
		}
	}
	if err := (Tool{}).Realise(t.Context(), []string{"/nix/store/00000000000000000000000000000000-none.drv!out"}, nil); err == nil || !strings.Contains(err.Error(), "-none.drv") {
		t.Errorf("%v", err)
	}
}
