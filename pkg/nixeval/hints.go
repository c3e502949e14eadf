package nixeval

import (
	"regexp"
	"slices"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// hint says what to do about a typical mistake.
type hint struct {
	pattern *regexp.Regexp // of Nix's message with its trace, an entry a line
	text    string         // with $1 for what the first group matched
	words   []string       // of which the first group may be a misspelt one: see didYouMean
}

// Names that people know from elsewhere, and what they are here.
var synonyms = map[string]string{
	"mode": "permissions", "perms": "permissions", "owner": "user", "command": "keyCommand", "cmd": "keyCommand", "file": "keyFile",
	"source": "keyFile", "content": "text", "value": "text", "dir": "destDir", "directory": "destDir", "target": "destDir",
	"host": "targetHost", "hostname": "targetHost", "port": "targetPort", "key": "keys", "secrets": "keys", "tag": "tags", "pkgs": "nixpkgs",
}

// Options of NixOps and Morph that nothing here stands for.
var foreign = map[string]string{
	"targetEnv": "NixOps makes machines with it", "storeKeysOnMachine": "keys below /run are in memory only, with another destDir they stay",
	"healthChecks": "Morph runs them after a deployment", "substituteOnDestination": "it is Morph's",
	"hasFastConnection": "it is NixOps'", "autoLuks": "it is NixOps'", "encryptedLinksTo": "it is NixOps'", "alwaysActivate": "it is NixOps'",
	"enableRollback": "it is NixOps'", "storage": "it is NixOps'", "lock": "it is NixOps'", "ordering": "it is Morph's",
	"evalConfig": "Morph's is that of meta.nixpkgs here", "runCommand": "it is Morph's", "lib": "Morph's is that of meta.nixpkgs here", "nixConfig": "Morph gives it to Nix, as --nix-option does here",
}

var (
	keyOptions        = []string{"name", "text", "keyFile", "keyCommand", "destDir", "user", "group", "permissions", "uploadAt", "allowEmpty", "environment", "shared", "keyTimeout", "fingerprint", "restartUnits", "reloadUnits"}
	deploymentOptions = []string{"targetHost", "targetPort", "targetUser", "allowLocalDeployment", "buildOnTarget", "tags", "keys", "keyDirectories", "removeStaleKeys", "replaceUnknownProfiles", "privilegeEscalationCommand", "sshOptions"}
	metaOptions       = []string{"name", "description", "nixpkgs", "nodeNixpkgs", "specialArgs", "nodeSpecialArgs", "machinesFile", "binaryCache", "binaryCacheFrom", "allowApplyAll"}
)

const importUs = "import nixosModules.default of colmena-go, which declares it"

const currentHint = "a flake is evaluated purely, where there is no builtins.$1: write the value itself, or pass --impure"

// hints is the table; of several that fit, the first counts.
var hints = []hint{
	{re("^The option [`‘]deployment\\.keys\\..*\\.([^.'’]+)['’] does not exist"), "a key has no option $1", keyOptions},
	{re("^The option [`‘]deployment['’] does not exist"), importUs, nil},
	{re("^The option [`‘]deployment\\.([^.'’]+)['’] does not exist"), "there is no deployment.$1", deploymentOptions},
	{re("(?s)^The option [`‘]([^.'’]+)['’] does not exist.*\nwhile evaluating the hive's meta"), "there is no meta.$1", metaOptions},
	{re("^The option [`‘](?:node)?[sS]pecialArgs['’] does not exist"), "a node is a module, which has no such argument: set meta.specialArgs for all nodes, or meta.nodeSpecialArgs.NODE", nil},
	{re("^The option [`‘](modules|system|pkgs)['’] does not exist"), "a node is a module itself, not the arguments of nixosSystem: modules go into imports, the system comes with meta.nixpkgs or meta.nodeNixpkgs", nil},
	{re("^The option [`‘](" + strings.Join(deploymentOptions, "|") + ")(?:\\.[^'’]*)?['’] does not exist"), "it is deployment.$1", nil},
	{re("^The option [`‘](?:defaults|meta|network|nodeNixpkgs)(?:\\.[^'’]*)?['’] does not exist"), "meta and defaults stand beside the nodes, not in one", nil},
	{re("(?s)^infinite recursion encountered.*\ncolmena-go: while asking for nodes\\."), "what a module imports cannot depend on nodes.NODE.config, which is made of all imports: use lib.mkIf in place of it, or what meta.specialArgs holds", nil},
	{re("(?s)^infinite recursion encountered.*\nwhile evaluating the module argument [`‘]pkgs['’]"), "pkgs is made of the configuration, so it cannot decide what is imported: in place of `pkgs.callPackage ./FILE { }` write `imports = [ ./FILE ];`; or take a package set from meta.specialArgs", nil},
	{re("(?s)^infinite recursion encountered.*\nwhile evaluating the module argument [`‘]([^'’]+)['’]"), "an argument that `imports` depends on has to come from meta.specialArgs, as in `meta.specialArgs = { inherit $1; };`; the configuration, and pkgs, must not decide about it", nil},
	{re("(?s)^attribute '[^']+' missing.*\nwhile evaluating the module argument [`‘]([^'’]+)['’]"), "no module gets the argument $1 by itself: set it in meta.specialArgs, as in `meta.specialArgs = { inherit $1; };`", nil},
	{re("called with unexpected argument '(?:name|lib|pkgs|config|options|nodes|modulesPath|specialArgs)'"), "let the arguments of a module end with dots, as in `{ lib, ... }:`", nil},
	{re("deployment\\.keys\\..*\\.keyCommand['’] is not of type"), "keyCommand is a list of words, as in [ \"cat\" \"/path/to/file\" ]: there is no shell to split them", nil},
	{re("deployment\\.keys\\..*\\.keyFile['’] is not of type"), "write keyFile as an absolute path, in quotes", nil},
	{re("deployment\\.keys\\..*\\.permissions['’] is not of type"), "write permissions in quotes, as in \"0640\"", nil},
	{re("option [`‘]machinesFile['’] is not of type"), "write machinesFile as an absolute path in quotes, or without quotes, as in ./machines", nil},
	{re("^(?:undefined variable|attribute) '(current(?:System|Time))'"), currentHint, nil},
	{re("^undefined variable '(nixpkgs|self|inputs)'"), "add it to the arguments of the flake's `outputs`, as in `outputs = inputs@{ self, nixpkgs, ... }:`; modules get it as an argument with `meta.specialArgs = { inherit $1; };`", nil},
	{re("^undefined variable '(types|mk[A-Z][A-Za-z]*)'"), "it is lib.$1: add lib to the module's arguments, as in `{ lib, ... }:`", nil},
	{re("^undefined variable 'system'"), "in a module it is pkgs.stdenv.hostPlatform.system: add pkgs to the module's arguments, as in `{ pkgs, ... }:`", nil},
	{re("^undefined variable '(lib|pkgs|config|options|name|nodes|modulesPath|specialArgs|utils)'"), "add it to the module's arguments, as in `{ $1, ... }:`", nil},
	{re("^The option [`‘]inputs[.'’]"), "in a flake's hive, its inputs reach modules as arguments: `meta.specialArgs = { inherit inputs; };`", nil},
	{re("^undefined variable "), "text needs quotes", nil},
	{re("^file 'nixpkgs(?:/[^']*)?' was not found in the Nix search path"), "set meta.nixpkgs to a nixpkgs, or NIX_PATH to where one is", nil},
	{re("^cannot look up '<[^']*>' in pure evaluation mode"), "a flake's hive takes nixpkgs from the flake's inputs: `meta.nixpkgs = import nixpkgs { system = \"x86_64-linux\"; };`", nil},
	{re("^access to (?:absolute )?path '[^']*' is forbidden in pure eval(?:uation)? mode"), "a flake sees only what is in it: keep the file there, or pass --impure; a keyFile in quotes is only read when the key is uploaded", nil},
	{re("^a '([^']+)' with features .* is required to build"), "this machine cannot build for $1: name a builder in meta.machinesFile, or emulate it (boot.binfmt.emulatedSystems)", nil},
	{re("(?s)^Cannot build '.*\nRequired system: '([^']+)'"), "this machine cannot build for $1: name a builder in meta.machinesFile, or emulate it (boot.binfmt.emulatedSystems)", nil},
	{re("^path URL '[^']*' has unsupported parameter 'dir'"), "this Nix takes no dir in path: URLs, newer ones do: write the folder's path, PATH?dir=FOLDER, or git+file:", nil},
	{re("unrecognised (?:flag|option)|unknown (?:flag|option) '|is not a recognised (?:flag|command)"), "Nix 2.8 or newer is needed; `nix --version` says which this is", nil},
}

func re(pattern string) *regexp.Regexp { return regexp.MustCompile(pattern) }

// withHints adds to a message the hint for what it is about.
func withHints(message, about string) string {
	if about == "" {
		about = message
	}
	for _, h := range hints {
		at := h.pattern.FindStringSubmatchIndex(about)
		if at == nil {
			continue
		}
		text := string(h.pattern.ExpandString(nil, h.text, about, at))
		if h.words != nil {
			text += didYouMean(about[at[2]:at[3]], h.words)
		}
		return message + "\nhint: " + text
	}
	return message
}

// didYouMean ends a hint about a name that does not exist.
func didYouMean(name string, words []string) string {
	if slices.Contains(words, name) {
		return " outside of a hive by itself: " + importUs
	}
	if what := foreign[name]; what != "" {
		return ": " + what + "; leave it out"
	}
	near := synonyms[name]
	for _, word := range words {
		if word == near {
			return ": it is " + near
		}
	}
	if near = hive.Nearest(name, words); near != "" {
		return ": did you mean " + near + "?"
	}
	return ": there are " + strings.Join(words, ", ")
}
