package hive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
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

// document is the JSON that nix/select.nix makes.
type document struct {
	Meta struct {
		Name          string  `json:"name"`
		Description   string  `json:"description"`
		MachinesFile  *string `json:"machinesFile"`
		AllowApplyAll bool    `json:"allowApplyAll"`
	} `json:"meta"`
	Notes     []string              `json:"notes"`
	Names     []string              `json:"names"`
	Tags      []string              `json:"tags"` // only when a tag matched nothing
	Unmatched []string              `json:"unmatched"`
	Nodes     map[string]nodeInEval `json:"nodes"`
}

type nodeInEval struct {
	Deployment struct {
		TargetHost                 *string              `json:"targetHost"`
		TargetPort                 *int                 `json:"targetPort"`
		TargetUser                 *string              `json:"targetUser"`
		Tags                       []string             `json:"tags"`
		BuildOnTarget              bool                 `json:"buildOnTarget"`
		ReplaceUnknownProfiles     bool                 `json:"replaceUnknownProfiles"`
		PrivilegeEscalationCommand []string             `json:"privilegeEscalationCommand"`
		SSHOptions                 []string             `json:"sshOptions"`
		Keys                       map[string]keyInEval `json:"keys"`
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
	KeyFile     *string  `json:"keyFile"`
	KeyCommand  []string `json:"keyCommand"`
	Builds      []string `json:"builds"`
	TextPaths   []string `json:"textPaths"` // store paths that the text names
	AllowEmpty  bool     `json:"allowEmpty"`
	DestDir     string   `json:"destDir"`
	User        string   `json:"user"`
	Group       string   `json:"group"`
	Permissions string   `json:"permissions"`
	UploadAt    UploadAt `json:"uploadAt"`
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

// Decode reads and validates what an evaluation printed. It fails with
// [ErrDecode], [ErrNoMatch] or [ErrEncoding], or with a multierror of every [Problem]
// found. No error quotes the document, which holds secrets.
func Decode(text []byte) (*Hive, error) {
	h, broken, err := DecodeSound(text)
	if err != nil {
		return nil, err
	}
	problems := &multierror.Error{ErrorFormat: ListErrors}
	for _, b := range broken {
		problems = multierror.Append(problems, b.Err)
	}
	if err := problems.ErrorOrNil(); err != nil {
		return nil, err
	}
	return h, nil
}

// DecodeSound is [Decode] for those who can do with some of the nodes: those with a
// [Problem] are not in the hive, but apart, sorted by name.
func DecodeSound(text []byte) (*Hive, []Broken, error) {
	var doc document
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, nil, decodeError(err)
	}
	if !utf8.Valid(text) && !doc.badText() {
		return nil, nil, ErrEncoding
	}
	if err := unmatched(doc); err != nil {
		return nil, nil, err
	}
	h := &Hive{Notes: doc.Notes, Meta: Meta{
		Name: doc.Meta.Name, Description: doc.Meta.Description,
		AllowApplyAll: doc.Meta.AllowApplyAll,
	}}
	if doc.Meta.MachinesFile != nil {
		h.Meta.MachinesFile = *doc.Meta.MachinesFile
	}
	var broken []Broken
	for _, name := range slices.Sorted(maps.Keys(doc.Nodes)) {
		node, err := doc.Nodes[name].node(name)
		if err != nil {
			broken = append(broken, Broken{name, err})
			continue
		}
		h.Nodes = append(h.Nodes, node)
	}
	return h, broken, nil
}

// badText reports whether a key's text is what is not UTF-8, which is a [Problem].
func (d document) badText() bool {
	for _, node := range d.Nodes {
		for _, key := range node.Deployment.Keys {
			if key.Text != nil && key.Text.bad {
				return true
			}
		}
	}
	return false
}

// DecodeTarget reads what an evaluation tells ahead of its result: a node's name
// and target, nil for a node without one. Its errors are those of [Decode].
func DecodeTarget(text []byte) (name string, target *Target, err error) {
	var doc struct {
		Name string `json:"name"`
		nodeInEval
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return "", nil, decodeError(err)
	}
	if !utf8.Valid(text) || bytes.ContainsRune(text, utf8.RuneError) { // which Nix' log may hold in its place
		return "", nil, ErrEncoding
	}
	node, err := doc.node(doc.Name)
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
func (in nodeInEval) node(name string) (Node, error) {
	v := &validator{node: name, problems: &multierror.Error{ErrorFormat: ListErrors}}
	d := in.Deployment
	node := Node{
		Name: name, Tags: d.Tags, BuildOnTarget: d.BuildOnTarget,
		ReplaceUnknownProfiles: d.ReplaceUnknownProfiles,
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
		UploadAt: in.UploadAt,
	}
	if in.Text != nil {
		key.Text = &in.Text.Secret
		v.text(*in.Text)
	}
	if in.KeyFile != nil {
		key.File = *in.KeyFile
	}
	v.attr(attr)
	v.name(in.Name)
	v.destDir(in.DestDir)
	v.owner("user", in.User)
	v.owner("group", in.Group)
	key.Mode = v.permissions(in.Permissions)
	v.source(in)
	if in.UploadAt != PreActivation && in.UploadAt != PostActivation {
		v.add("uploadAt", `is neither "pre-activation" nor "post-activation"`)
	}
	return key
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
