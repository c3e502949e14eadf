package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/keysource"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
	"github.com/colmena-go/colmena-go/pkg/report"
)

func globalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "config", Aliases: []string{"f"}, Usage: "the hive: a `FILE`, a directory or a flake URI; by default the nearest flake.nix or hive.nix upwards"},
		&cli.BoolFlag{Name: "show-trace", Usage: "show Nix's whole error and trace when the evaluation fails, which may show secrets"},
		&cli.BoolFlag{Name: "impure", Usage: "allow a flake to use what is not part of it"},
		&cli.GenericFlag{Name: pairFlag, Value: &nixOptions{}, Usage: "set an option of Nix for evaluation and builds; two words follow: `NAME VALUE`"},
		&cli.StringFlag{Name: "color", Value: "auto", Usage: "`WHEN` to use colour: auto, always or never"},
		&cli.StringFlag{Name: "log-format", Value: "text", Usage: "`FORMAT` of diagnostics: text or json"},
		// Colmena's: see noEffect.
		&cli.BoolFlag{Name: "experimental-flake-eval", Hidden: true},
		&cli.BoolFlag{Name: "legacy-flake-eval", Hidden: true},
	}
}

// nixOptions collects --nix-option, which arrange writes as NAME=VALUE.
type nixOptions struct{ list [][2]string }

// Set implements cli.Generic.
func (o *nixOptions) Set(text string) error {
	name, value, found := strings.Cut(text, "=")
	if !found || name == "" {
		return usage("--%s takes two values: --%[1]s NAME VALUE", pairFlag)
	}
	o.list = append(o.list, [2]string{name, value})
	return nil
}

// String implements cli.Generic.
func (o *nixOptions) String() string { return "" }

// Get implements flag.Getter.
func (o *nixOptions) Get() any { return o }

// style decides about colour.
func style(c *cli.Context) report.Style {
	return report.Style(coloured(c.String("color"), onTerminal(c), os.Getenv))
}

// coloured follows https://no-color.org and https://bixense.com/clicolors where
// the flag leaves it open.
func coloured(when string, terminal bool, getenv func(string) string) bool {
	force := getenv("CLICOLOR_FORCE")
	switch {
	case when != "auto":
		return when == "always"
	case getenv("NO_COLOR") != "":
		return false
	case force != "" && force != "0":
		return true
	}
	return terminal && getenv("CLICOLOR") != "0" && getenv("TERM") != "dumb"
}

// onTerminal reports whether a person watches; otherwise it becomes a log.
func onTerminal(c *cli.Context) bool {
	return screen(c.App).File() != nil && term.IsTerminal(int(screen(c.App).File().Fd()))
}

// source finds the hive.
func source(c *cli.Context) (nixeval.Source, error) {
	_, err := os.Getwd() // which Nix needs as well, wherever the hive is
	temporary := os.Getenv("TMPDIR")
	if info, err := os.Stat(temporary); temporary != "" && (err != nil || !info.IsDir()) {
		return nixeval.Source{}, fmt.Errorf("TMPDIR names %s, which is not a folder: unset it, or make the folder", temporary)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nixeval.Source{}, errors.New(`the working directory was deleted: change to one that is there, or cd "$PWD" if it was made anew`)
	case err != nil:
		return nixeval.Source{}, fmt.Errorf("the working directory cannot be found: %w", err)
	case c.IsSet("config") && c.String("config") == "":
		return nixeval.Source{}, usage("--config is empty: name a file, a directory or a flake, or leave the flag out")
	}
	return hiveAt(c.String("config"))
}

// hiveAt is the hive that --config names, "" for the nearest.
func hiveAt(config string) (nixeval.Source, error) {
	if config != "" {
		return nixeval.ParseSource(config)
	}
	dir, err := os.Getwd()
	if err != nil {
		return nixeval.Source{}, err
	}
	return nixeval.Discover(dir)
}

// selector reads --on and --exclude; without them all nodes are meant.
func selector(c *cli.Context) (hive.Selector, error) {
	var s hive.Selector
	for _, flag := range []struct {
		name  string
		parse func(string) (hive.Selector, error)
	}{{"on", hive.ParseSelector}, {"exclude", hive.ParseExclusion}} {
		if !c.IsSet(flag.name) {
			continue
		}
		more, err := flag.parse(c.String(flag.name))
		if err != nil {
			return s, usage("--%s: %v", flag.name, err)
		}
		s.Patterns = append(s.Patterns, more.Patterns...)
	}
	return s, nil
}

func selectionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "on", Usage: "only `NODES`: names, globs and @tags, separated by commas; those after a ! are left out"},
		&cli.StringFlag{Name: "exclude", Usage: "all but `NODES`, or of those selected with --on all but these"},
		&cli.BoolFlag{Name: "no-eval-cache", Usage: "evaluate flakes again that were evaluated before"},
		&cli.StringFlag{Name: "eval-workers", Value: auto, Usage: "evaluate in at most `N` processes at once; auto: by processors and memory"},
		&cli.StringFlag{Name: "eval-node-limit", Value: auto, Usage: "evaluate at most `N` nodes in one process; 0 means any number, auto: as memory allows"},
		evalMemoryFlag("a node that needs more by itself fails"),
	}
}

// evalMemoryFlag limits what evaluations take; beyond says what comes of it.
func evalMemoryFlag(beyond string) cli.Flag {
	return &cli.StringFlag{Name: "eval-memory", Value: "70%", Usage: "have all evaluating processes take no more than `SIZE` (500M, 4G) or a part of what is free; " + beyond}
}

func jsonFlag(what string) cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print " + what + " as JSON on standard output"}
}

func quietFlag() cli.Flag {
	return &cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "show only warnings and failures"}
}

// deployFlags are those of every command that deploys, with Colmena's meaning.
func deployFlags() []cli.Flag {
	return append(append(append(selectionFlags(), passwordFlags()...), append(fileFlags(), eventsFlag())...),
		&cli.StringFlag{Name: "parallel", Aliases: []string{"p"}, Value: "10", DefaultText: "10", Usage: "copy to and change at most `N` hosts at once; 0 means all"},
		&cli.StringFlag{Name: "push-parallel", DefaultText: "none of its own", Usage: "copy to at most `N` hosts at once, however many are being changed; 0 means all"},
		&cli.StringFlag{Name: "build-jobs", DefaultText: "what nix.conf says", Usage: "build at most `N` derivations at once here; auto: as many as there are processors"},
		quietFlag(),
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "show everything that programs print, as is done anyway where standard error is no terminal"},
		jsonFlag("the results"),
		sshConfigFlag(),
		&cli.BoolFlag{Name: "no-keys", Usage: "upload no keys"},
		&cli.BoolFlag{Name: "keep-result", Usage: "keep the built systems from garbage collection, with links in .gcroots beside the hive"},
		&cli.BoolFlag{Name: "no-substitute", Aliases: []string{"no-substitutes"}, Usage: "have hosts fetch nothing from their substituters"},
		&cli.StringFlag{Name: "via", Usage: "copy systems once to the store `URL`, from which hosts fetch them; none: to no store, whatever meta.binaryCache says"},
		&cli.StringFlag{Name: "via-from", Usage: "the `URL` by which hosts know the store of --via"},
		&cli.BoolFlag{Name: "force-replace-unknown-profiles", Usage: "replace systems that this machine does not know, whatever deployment.replaceUnknownProfiles says"},
		&cli.BoolFlag{Name: "reboot", Usage: "reboot the hosts and bring their keys again; with it, boot is the default goal"},
		&cli.BoolFlag{Name: "reboot-if-needed", Usage: "the same where the kernel, its parameters, modules or the initrd change"},
		rebootTimeoutFlag(),
		&cli.BoolFlag{Name: "build-on-target", Usage: "have every node's host build its system, whatever deployment.buildOnTarget says"},
		&cli.BoolFlag{Name: "no-build-on-target", Usage: "build here, whatever deployment.buildOnTarget says"},
		&cli.BoolFlag{Name: "no-gzip", Hidden: true},
		&cli.BoolFlag{Name: "fail-fast", Usage: "stop unless every node can be evaluated"},
		&cli.StringFlag{Name: "evaluator", Hidden: true},
	)
}

// keyFlags are those of commands that upload keys.
func keyFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "resolve-all", Usage: "get the content of every key, even where the host holds it, as its fingerprint says"},
		&cli.BoolFlag{Name: "prune-keys", Usage: "remove what uploads put on the hosts for keys that are no more, as deployment.removeStaleKeys does"},
		&cli.StringFlag{Name: "key-timeout", DefaultText: fmt.Sprintf("%.0fm", keysource.DefaultTimeout.Minutes()), Usage: "give each keyCommand `TIME` (90s, 5m), and each keyFile to be read, unless the key has a keyTimeout"},
		&cli.StringFlag{Name: "key-parallel", Value: strconv.Itoa(keysource.DefaultLimit), DefaultText: strconv.Itoa(keysource.DefaultLimit), Usage: "run at most `N` keyCommands at once; 0 means all"},
		&cli.BoolFlag{Name: "show-key-errors", Usage: "make what a failed keyCommand printed on standard error part of its error; that may hold secrets, and errors are in logs and --json, too"},
	}
}

// refuse stops at flags whose effect would be missed, and at values that are none.
func refuse(c *cli.Context) error {
	switch evaluator := c.String("evaluator"); evaluator {
	case "", "chunked", "streaming":
		return nil
	default:
		return usage("--evaluator is chunked or streaming, not %q", evaluator)
	}
}

// noEffect are Colmena's flags that nobody misses here, and why.
var noEffect = []struct{ name, why string }{
	{"no-gzip", "nothing is compressed on the way"},
	{"evaluator", "nodes are always handed on as they are evaluated"},
	{"experimental-flake-eval", "flakes are always evaluated so"},
	{"legacy-flake-eval", "the output `colmena` is deployed without it"},
}

func warnOfNoEffect(c *cli.Context, warn func(string)) {
	for _, flag := range noEffect {
		if c.IsSet(flag.name) {
			warn("--" + flag.name + " has no effect: " + flag.why)
		}
	}
}

// count reads a number of things, of which 0 means all.
func count(c *cli.Context, name string) (int, error) {
	n, err := strconv.ParseUint(c.String(name), 10, 31)
	if err != nil {
		return 0, usage("--%s is %q: it must be a whole number, 0 for no limit", name, c.String(name))
	}
	return int(n), nil
}
