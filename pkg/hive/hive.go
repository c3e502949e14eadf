// Package hive holds what a hive says: its nodes, their deployment options and
// their keys. It decodes, validates and selects; it does no I/O.
package hive

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/secret"
)

// Hive is what is known of a hive before its nodes are evaluated.
type Hive struct {
	Meta     Meta
	Names    []string // of all nodes, sorted
	Selected []string // those to deal with, sorted
	Notes    []string // what the evaluation wants the user to know
}

// Broken is a node that cannot be used, and why.
type Broken struct {
	Name string
	Err  error
}

// Meta holds the hive-wide options (meta.*) that matter after evaluation.
type Meta struct {
	Name          string
	Description   string
	MachinesFile  string // path for Nix's `builders` option, "" when unset
	AllowApplyAll bool   // false: apply without --on is refused

	BinaryCache     string // URL of the store that hosts fetch from, "" for none; it may hold a login
	BinaryCacheFrom string // the same as hosts know it, "" for as we do
}

// Node is one host of the hive with its deployment.* options.
type Node struct {
	Name   string
	Target *Target // nil when deployment.targetHost is null: only `build` applies
	Tags   []string

	BuildOnTarget          bool
	ReplaceUnknownProfiles bool
	AllowLocalDeployment   bool     // apply-local may make this machine the node
	Escalate               []string // deployment.privilegeEscalationCommand

	Keys        []Key       // sorted by attribute name
	Directories []Directory // sorted by path

	RemoveStaleKeys bool // files that uploads put on the host for keys that it no longer has go away

	Toplevel *Toplevel // nil when the evaluation was asked for none
	Warnings []string  // what the evaluation or validation wants the user to see
}

// Target says how the node's host is reached.
type Target struct {
	Host       string   // a name or an address, for ssh_config; IPv6 may stand in brackets
	Port       int      // 0: ssh_config or 22
	User       string   // "": ssh_config or the local user
	Escalate   []string // deployment.privilegeEscalationCommand, used when the user is not root
	SSHOptions []string // deployment.sshOptions
}

// String is [USER@]HOST[:PORT], as far as the hive says.
func (t *Target) String() string {
	text := t.Host
	if t.Port != 0 && strings.Contains(text, ":") && !strings.HasPrefix(text, "[") {
		text = "[" + text + "]"
	}
	if t.User != "" {
		text = t.User + "@" + text
	}
	if t.Port != 0 {
		text = fmt.Sprintf("%s:%d", text, t.Port)
	}
	return text
}

// Toplevel is the node's system closure: system.build.toplevel.
type Toplevel struct {
	DrvPath string
	OutPath string
}

// UploadAt says in which phase of a deployment a key is uploaded.
type UploadAt string

// The phases, as in deployment.keys.<name>.uploadAt.
const (
	PreActivation  UploadAt = "pre-activation"
	PostActivation UploadAt = "post-activation"
)

// Key is one entry of deployment.keys. Exactly one of Text (or TextLater), File and
// Command is set, unless the evaluation was asked to leave texts out.
type Key struct {
	Attr string // attribute name, from which the unit's name is made
	Name string // file name

	Text *secret.Secret
	// TextLater: there is a Text, which is evaluated apart.
	TextLater bool
	File      string   // absolute path on the deploying machine
	Command   []string // argv on the deploying machine
	Builds    []string // what File or Command need in this machine's store, as DRV!OUTPUT
	// Environment is added to a Command's, as NAME=VALUE in the order of names.
	Environment []string
	// Shared: keys that are, with the same Command, Environment and Timeout, have one run of it.
	Shared bool
	// Timeout is for a Command, or for reading a File; 0: none of its own.
	Timeout time.Duration
	// AllowEmpty: a Command may give nothing, or only white space.
	AllowEmpty bool
	// Fingerprint names what the content is made from; "" for none. It is no secret.
	Fingerprint string

	// What changes with the key: full names of units, each once, none in both.
	RestartUnits, ReloadUnits []string

	DestDir  string // absolute, cleaned
	User     string // name or number
	Group    string // name or number
	Mode     uint32 // permission bits, at most 07777
	UploadAt UploadAt
}

// Directory is one entry of deployment.keyDirectories: how a directory on the way to keys
// is made. One that is there already stays as it is.
type Directory struct {
	Path  string // absolute, cleaned, as in a key's DestDir
	User  string // name or number
	Group string // name or number
	Mode  uint32 // permission bits, at most 07777
}

// Leads reports whether the directory is on the way to a destination, or is that.
func (d Directory) Leads(destDir string) bool { return strings.HasPrefix(destDir+"/", d.Path+"/") }

// WarnStored adds a warning for each key whose file is in the Nix store, or will
// be once what it needs is built. exists tells of the files of this machine.
func (n *Node) WarnStored(exists func(path string) bool) {
	for _, key := range n.Keys {
		if strings.HasPrefix(key.File, "/nix/store/") && (len(key.Builds) > 0 || exists(key.File)) {
			n.Warnings = append(n.Warnings, fmt.Sprintf(
				"deployment.keys.%q.keyFile is in the Nix store (%s), which every user of this machine and of the hosts can read: write the path as a quoted, absolute one", key.Attr, key.File))
		}
	}
}

// Path is where the key lands on the host.
func (k Key) Path() string {
	if k.DestDir == "/" {
		return "/" + k.Name
	}
	return k.DestDir + "/" + k.Name
}

// Names reports whether something is to be done with a unit when the key changes.
func (k Key) Names(unit string) bool {
	return slices.Contains(k.RestartUnits, unit) || slices.Contains(k.ReloadUnits, unit)
}
