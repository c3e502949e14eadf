package hive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/go-multierror"
	"github.com/xrash/smetrics"

	"github.com/colmena-go/colmena-go/pkg/secret"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrDecode: the evaluation's output does not have the form of nix/select.nix.
	ErrDecode = errors.New("the evaluation's result cannot be read")
	// ErrNoMatch: a part of the selector matched no node.
	ErrNoMatch = errors.New("no node matches")
	// ErrEncoding: a string of the hive, other than a key's text, is not UTF-8.
	ErrEncoding = errors.New("a string of the hive is not UTF-8")
)

// head is the JSON that nix/select.nix makes of a hive.
type head struct {
	Meta struct {
		Name          string  `json:"name"`
		Description   string  `json:"description"`
		MachinesFile  *string `json:"machinesFile"`
		AllowApplyAll bool    `json:"allowApplyAll"`

		BinaryCache     *string `json:"binaryCache"`
		BinaryCacheFrom *string `json:"binaryCacheFrom"`
	} `json:"meta"`
	Notes     []string `json:"notes"`
	Names     []string `json:"names"`
	Selected  []string `json:"selected"`
	Tags      []string `json:"tags"` // only when a tag matched nothing
	Unmatched []string `json:"unmatched"`
}

// nodeInEval is the JSON that it makes of a node.
type nodeInEval struct {
	Name       string `json:"name"`
	Deployment struct {
		TargetHost                 *string              `json:"targetHost"`
		TargetPort                 *int                 `json:"targetPort"`
		TargetUser                 *string              `json:"targetUser"`
		Tags                       []string             `json:"tags"`
		BuildOnTarget              bool                 `json:"buildOnTarget"`
		ReplaceUnknownProfiles     bool                 `json:"replaceUnknownProfiles"`
		AllowLocalDeployment       bool                 `json:"allowLocalDeployment"`
		PrivilegeEscalationCommand []string             `json:"privilegeEscalationCommand"`
		SSHOptions                 []string             `json:"sshOptions"`
		Keys                       map[string]keyInEval `json:"keys"`

		KeyDirectories  map[string]dirInEval `json:"keyDirectories"`
		RemoveStaleKeys bool                 `json:"removeStaleKeys"`
	} `json:"deployment"`
	Toplevel *struct {
		DrvPath string `json:"drvPath"`
		OutPath string `json:"outputPath"` // outPath would turn the set into a string (nix eval --json)
	} `json:"toplevel"`
}

type keyInEval struct {
	Name        string   `json:"name"`
	Text        *rawText `json:"text"`
	TextLeftOut bool     `json:"textLeftOut"` // the evaluation was not asked for texts
	NoText      bool     `json:"noText"`      // of one left out: there is none
	TextToo     bool     `json:"textToo"`     // of one left out: there is one
	TextLater   bool     `json:"textLater"`   // there is one, which another evaluation has
	KeyFile     *string  `json:"keyFile"`
	KeyCommand  []string `json:"keyCommand"`
	Builds      []string `json:"builds"`
	TextPaths   []string `json:"textPaths"` // store paths that the text names
	AllowEmpty  bool     `json:"allowEmpty"`
	Shared      bool     `json:"shared"`
	KeyTimeout  *int64   `json:"keyTimeout"` // seconds
	Fingerprint *string  `json:"fingerprint"`
	Restart     []string `json:"restartUnits"`
	Reload      []string `json:"reloadUnits"`
	DestDir     string   `json:"destDir"`
	User        string   `json:"user"`
	Group       string   `json:"group"`
	Permissions string   `json:"permissions"`
	UploadAt    UploadAt `json:"uploadAt"`

	Environment []variable `json:"environment"` // sorted by name
}

type variable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dirInEval struct {
	User        string `json:"user"`
	Group       string `json:"group"`
	Permissions string `json:"permissions"`
}

// rawText is a secret as it stands in the document. encoding/json would replace
// what is not UTF-8 without a word.
type rawText struct {
	secret.Secret
	bad bool
}

func (t *rawText) UnmarshalJSON(data []byte) error {
	t.bad = !utf8.Valid(data)
	return t.Secret.UnmarshalJSON(data)
}

// BadText is the [Problem] of a text that is not UTF-8.
const BadText = "is not UTF-8, as evaluations have to be: use keyFile or keyCommand for binary content"

// DecodeHead reads what an evaluation tells of the hive itself. It fails with
// [ErrDecode], [ErrEncoding] or [*Unmatched].
func DecodeHead(text []byte) (*Hive, error) {
	var doc head
	if err := decode(text, &doc); err != nil {
		return nil, err
	}
	if len(doc.Unmatched) > 0 {
		return nil, &Unmatched{doc.Unmatched, doc.Names, doc.Tags}
	}
	h := &Hive{Notes: doc.Notes, Names: doc.Names, Selected: doc.Selected, Meta: Meta{
		Name: doc.Meta.Name, Description: doc.Meta.Description,
		AllowApplyAll: doc.Meta.AllowApplyAll,
	}}
	if doc.Meta.MachinesFile != nil {
		h.Meta.MachinesFile = *doc.Meta.MachinesFile
	}
	if doc.Meta.BinaryCache != nil {
		h.Meta.BinaryCache = *doc.Meta.BinaryCache
	}
	if doc.Meta.BinaryCacheFrom != nil {
		h.Meta.BinaryCacheFrom = *doc.Meta.BinaryCacheFrom
	}
	return h, nil
}

// DecodeNode reads and validates what an evaluation tells of a node. It fails
// with [ErrDecode] or [ErrEncoding], or with a multierror of every [Problem] found;
// the node then has its name, if that could be read. No error quotes the text, which may hold secrets.
func DecodeNode(text []byte) (Node, error) {
	var doc nodeInEval
	if err := json.Unmarshal(text, &doc); err != nil {
		return Node{}, decodeError(err)
	}
	if !utf8.Valid(text) && !doc.badText() || replaced(text) > doc.replacedInTexts() {
		return Node{Name: doc.Name}, ErrEncoding
	}
	return doc.node()
}

// replaced counts what stands in the place of other bytes, as in Nix's log.
func replaced(text []byte) int { return bytes.Count(text, []byte(string(utf8.RuneError))) }

// replacedInTexts counts it in the texts of keys, which are in no log.
func (in nodeInEval) replacedInTexts() (n int) {
	for _, key := range in.Deployment.Keys {
		if key.Text != nil {
			n += replaced(key.Text.Reveal())
		}
	}
	return n
}

// decode reads JSON that is UTF-8.
func decode(text []byte, doc any) error {
	if err := json.Unmarshal(text, doc); err != nil {
		return decodeError(err)
	}
	if !utf8.Valid(text) || replaced(text) > 0 {
		return ErrEncoding
	}
	return nil
}

// badText reports whether a key's text is what is not UTF-8, which is a [Problem].
func (in nodeInEval) badText() bool {
	for _, key := range in.Deployment.Keys {
		if key.Text != nil && key.Text.bad {
			return true
		}
	}
	return false
}

// DecodeTarget reads what an evaluation tells ahead of its result: a node's name
// and target, nil for a node without one. It fails with [ErrDecode]
// or [ErrEncoding].
func DecodeTarget(text []byte) (name string, target *Target, err error) {
	var doc nodeInEval
	if err := decode(text, &doc); err != nil {
		return "", nil, err
	}
	node, err := doc.node()
	return doc.Name, node.Target, err
}

// decodeError tells where the document is wrong without quoting it.
func decodeError(err error) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind):
		return fmt.Errorf("%w: %s is a %s where a %s belongs", ErrDecode, kind.Field, strings.SplitN(kind.Value, " ", 2)[0], kind.Type)
	case errors.As(err, &syntax):
		return fmt.Errorf("%w: it is not JSON from byte %d on (Nix prints infinities and NaN as no JSON can hold them)", ErrDecode, syntax.Offset)
	}
	return ErrDecode
}

// node validates one node's options; the error holds every [Problem].
func (in nodeInEval) node() (Node, error) {
	v := &validator{node: in.Name, problems: &multierror.Error{ErrorFormat: ListErrors}}
	d := in.Deployment
	node := Node{
		Name: in.Name, Tags: d.Tags, BuildOnTarget: d.BuildOnTarget,
		ReplaceUnknownProfiles: d.ReplaceUnknownProfiles, AllowLocalDeployment: d.AllowLocalDeployment,
		RemoveStaleKeys: d.RemoveStaleKeys,
		Escalate:        d.PrivilegeEscalationCommand,
	}
	if in.Toplevel != nil {
		node.Toplevel = &Toplevel{DrvPath: in.Toplevel.DrvPath, OutPath: in.Toplevel.OutPath}
	}
	node.Target = v.target(in)
	for _, attr := range slices.Sorted(maps.Keys(d.Keys)) {
		node.Keys = append(node.Keys, d.Keys[attr].key(attr, v))
	}
	for _, attr := range slices.Sorted(maps.Keys(d.Keys)) {
		if paths := d.Keys[attr].TextPaths; len(paths) > 0 {
			node.Warnings = append(node.Warnings, fmt.Sprintf(
				"deployment.keys.%q.text names store paths that do not go to the host with it (%s): have the system contain them, e.g. in system.extraDependencies", attr, FirstFew(storeNames(paths))))
		}
	}
	v.onePathEach(node.Keys)
	for _, name := range slices.Sorted(maps.Keys(d.KeyDirectories)) {
		node.Directories = append(node.Directories, d.KeyDirectories[name].directory(name, node.Directories, v))
	}
	return node, v.problems.ErrorOrNil()
}

// storeNames are the names of store paths, without hash and .drv.
func storeNames(paths []string) []string {
	names := make([]string, len(paths))
	for i, path := range paths {
		_, name, _ := strings.Cut(strings.TrimPrefix(path, "/nix/store/"), "-")
		names[i] = strings.TrimSuffix(name, ".drv")
	}
	return names
}

func (in keyInEval) key(attr string, v *validator) Key {
	v.key = attr
	defer func() { v.key = "" }()
	key := Key{
		Attr: attr, Name: in.Name, Command: in.KeyCommand, Builds: in.Builds, AllowEmpty: in.AllowEmpty,
		DestDir: path.Clean(in.DestDir), User: in.User, Group: in.Group,
		UploadAt: in.UploadAt, TextLater: in.TextLater,
		Environment: v.environment(in.Environment), Shared: in.Shared, Timeout: v.timeout(in.KeyTimeout),
	}
	if in.Text != nil {
		key.Text = &in.Text.Secret
		v.text(*in.Text)
	}
	if in.KeyFile != nil {
		key.File = *in.KeyFile
	}
	if in.Fingerprint != nil {
		key.Fingerprint = *in.Fingerprint
		v.fingerprint(*in.Fingerprint)
	}
	key.RestartUnits = v.units("restartUnits", in.Restart, nil)
	key.ReloadUnits = v.units("reloadUnits", in.Reload, key.RestartUnits)
	v.attr(attr)
	v.name(in.Name)
	v.dir("destDir", in.DestDir)
	v.owner("user", in.User)
	v.owner("group", in.Group)
	key.Mode = v.permissions("permissions", in.Permissions)
	v.source(in)
	if in.UploadAt != PreActivation && in.UploadAt != PostActivation {
		v.add("uploadAt", `is neither "pre-activation" nor "post-activation"`)
	}
	return key
}

// directory validates one of deployment.keyDirectories, of which others came before.
func (in dirInEval) directory(name string, before []Directory, v *validator) Directory {
	option := "keyDirectories." + strconv.Quote(name)
	dir := Directory{Path: path.Clean(name), User: in.User, Group: in.Group}
	v.dir(option, name)
	v.notOurs(option, dir.Path)
	if slices.ContainsFunc(before, func(other Directory) bool { return other.Path == dir.Path }) {
		v.add(option, "is set twice, in two spellings")
	}
	v.owner(option+".user", in.User)
	v.owner(option+".group", in.Group)
	dir.Mode = v.permissions(option+".permissions", in.Permissions)
	return dir
}

// Nearest is the name that differs least from a mistyped one, in whatever case,
// "" if none is near.
func Nearest(pattern string, names []string) string {
	best, most := "", 0.75
	for _, name := range names {
		if alike := smetrics.JaroWinkler(strings.ToLower(pattern), strings.ToLower(name), 0.7, 4); alike > most {
			best, most = name, alike
		}
	}
	return best
}
