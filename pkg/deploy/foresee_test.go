package deploy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// asked is a double that answers what a dry run asks: it runs and boots a system and has
// one directory of keys, which is empty.
func asked(current, profile string) *double {
	return &double{current: "gone", run: func(program string, stdin io.Reader, stdout io.Writer) error {
		if strings.Contains(program, "dry-activate") {
			fmt.Fprint(stdout, "would restart the following units: web.service\n\nstatus 0\n")
			return nil
		}
		in := bufio.NewReader(stdin)
		first, err := in.ReadString('\n') // of the script: the word to say
		if err != nil {
			return err
		}
		fmt.Fprintln(stdout, strings.TrimSpace(strings.TrimPrefix(first, "echo ")))
		second, third := "", ""
		for range 3 {
			second, third = third, second
			line, _ := in.ReadString('\n')
			second += line
		}
		if strings.Contains(second+third, "Tells what a host is like") {
			fmt.Fprintf(stdout, "now 1\nsystem current %s\nsystem next %s\nsystem booted %[1]s\nkernel current /k1\nkernel next /k1\nkernel booted /k1\n.\n", current, profile)
			return nil
		}
		fmt.Fprint(stdout, "dir ramfs 0:5 0 750\nobserved\n")
		return nil
	}}
}

func TestADryRunAsksAndDoesNothing(t *testing.T) {
	key := hive.Key{Attr: "k", Name: "k", DestDir: "/run/keys", User: "root", Group: "root", Mode: 0o600, UploadAt: hive.PreActivation}
	for _, c := range []struct {
		name             string
		current, profile string
		change           func(*hive.Node)
		want             plan.Want
		lacks            []string
		did              string // by the tools
		says             string
	}{
		{"all is there", "/out-web", "/out-web", nil, plan.Want{Goal: hive.Switch}, nil, "dial web", "same"},
		{"but the profile", "/out-web", "/old", nil, plan.Want{Goal: hive.Switch}, nil, "dial web", "There 0 paths, units [web.service]"},
		{"another system", "/old", "/old", nil, plan.Want{Goal: hive.Switch}, []string{"/out-web"}, "dial web; build web; ask store", "1 paths, unknown units: the host does not have the system yet (apply push brings it)"},
		{"one that was pushed", "/old", "/old", nil, plan.Want{Goal: hive.Boot}, nil, "dial web; build web; ask store", "There 0 paths, units [web.service]"},
		{"a push of it", "/old", "/old", nil, plan.Want{Goal: hive.Push}, nil, "dial web; build web; ask store", "same"},
		{"what the host builds", "/old", "/old", func(n *hive.Node) { n.BuildOnTarget = true }, plan.Want{Goal: hive.Push}, []string{"/out-web"}, "dial web; ask store", "unknown the host builds the system itself: how much is copied is known only after the build"},
		{"keys", "/old", "/old", func(n *hive.Node) { n.Keys = []hive.Key{key} }, plan.Want{Goal: hive.Keys}, nil, "sources web; dial web; resolve", "key k true"},
	} {
		j, n := &journal{}, node("web")
		if c.change != nil {
			c.change(&n)
		}
		tools := tools(j, map[string]*double{"web": asked(c.current, c.profile)})
		tools.AskStore = func(_ context.Context, _ Host, _ closure.Question) (closure.Answer, error) {
			j.add("ask store")
			return closure.Answer{Lacks: c.lacks}, nil
		}
		tools.Resolve = func(context.Context, hive.Node, func(string)) (map[string]secret.Secret, error) {
			j.add("resolve")
			return map[string]secret.Secret{"k": secret.New([]byte("v"))}, nil
		}
		c.want.DryRun = true
		r := Run(t.Context(), Evaluated([]hive.Node{n}), Options{Want: c.want}, tools, j)[0]
		if r.Status != event.Succeeded || r.Outlook == nil {
			t.Errorf("%s: %s: %v", c.name, r.Status, r.Err)
			continue
		}
		if got := j.String(); got != c.did {
			t.Errorf("%s: it did %q, want %q", c.name, got, c.did)
		}
		if got := briefly(r.Outlook); got != c.says {
			t.Errorf("%s: it says %q, want %q", c.name, got, c.says)
		}
	}
}

func briefly(o *plan.Outlook) string {
	if !o.Changes() {
		return "same"
	}
	text := ""
	if o.There {
		text = "There "
	}
	var parts []string
	if o.Copy != nil {
		parts = append(parts, fmt.Sprint(text, o.Copy.Paths, " paths"))
	}
	if o.Units != nil {
		parts = append(parts, fmt.Sprint("units ", o.Units.Restart))
	}
	for _, k := range o.Keys {
		parts = append(parts, fmt.Sprint("key ", k.Name, " ", k.New))
	}
	for _, why := range o.Unknown {
		if !strings.HasPrefix(why, "packages") && !strings.HasPrefix(why, "reboot") {
			parts = append(parts, "unknown "+why)
		}
	}
	return strings.Join(parts, ", ")
}

func TestAHostThatIsNotAsItWasShownIsLeftAlone(t *testing.T) {
	for _, c := range []struct{ current, shown string }{{"/old", "/older"}, {"", "/old"}} {
		j := &journal{}
		host := &double{current: c.current, profile: c.current}
		opts := Options{Want: plan.Want{Goal: hive.Switch}, Shown: map[string]*plan.Outlook{
			"web": {Goal: hive.Switch, Runs: closure.System{Path: c.shown}, Boots: closure.System{Path: c.shown}}}}
		r := Run(t.Context(), Evaluated([]hive.Node{node("web")}), opts, tools(j, map[string]*double{"web": host}), j)[0]
		var drift *plan.DriftError
		if !errors.As(r.Err, &drift) || r.Step != plan.Inspect || j.String() != "dial web" {
			t.Errorf("%+v: %v in %s, after %s", c, r.Err, r.Step, j)
		}
	}
}
