// Package evalcache keeps what an evaluation found, so that the same is not
// evaluated again: where systems are, and deployment options. It never keeps the
// texts of keys or what their commands print.
package evalcache

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

// Evaluator is what has to be evaluated; [nix.Evaluator] is one.
type Evaluator interface {
	Run(ctx context.Context, part nix.Part, hooks nix.Hooks) error
	Identity(ctx context.Context) string
	Remember(node, text string)
}

// Cache is an Evaluator that evaluates only what is not known.
type Cache struct {
	Evaluator
	store store
	log   zerolog.Logger

	once     sync.Once
	identity string // of the hive; "" while nothing is to be kept
	name     string // of the file

	mu   sync.Mutex
	kept kept
	new  bool // something was added
}

// kept is what a file holds: of one hive, and one kind of request.
type kept struct {
	Heads map[string]string // by what was selected
	Nodes map[string]node
}

type node struct {
	Text     string
	Warnings []string
}

// New returns a Cache that keeps its files in a folder, which it makes if it must.
func New(evaluator Evaluator, dir string, log zerolog.Logger) *Cache {
	return &Cache{Evaluator: evaluator, store: store{dir}, log: log}
}

// Run is that of the Evaluator, but for what is known. It asks for the texts of keys
// each time.
func (c *Cache) Run(ctx context.Context, part nix.Part, hooks nix.Hooks) error {
	if part.Texts {
		return c.Evaluator.Run(ctx, part, hooks)
	}
	c.once.Do(func() { c.load(ctx, part.Request) })
	if c.identity == "" {
		return c.Evaluator.Run(ctx, part, hooks)
	}
	nodes := part.Only
	if nodes == nil {
		var known bool
		if nodes, known = c.head(part, hooks); !known && !c.helps(part) {
			return c.evaluate(ctx, part, hooks)
		} else if !known {
			var err error
			if nodes, err = c.headAlone(ctx, part, hooks); err != nil {
				return err
			}
		}
	}
	var missing []string
	for _, name := range nodes[:min(len(nodes), part.Most)] {
		if !c.tell(name, hooks) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	part.Only, part.Most = missing, len(missing)
	hooks.Head = nil // it was told
	return c.evaluate(ctx, part, hooks)
}

// load reads what is kept of this hive: for requests of this kind, and for those
// that want more, which serves as well.
func (c *Cache) load(ctx context.Context, request nix.Request) {
	if c.identity = c.Identity(ctx); c.identity == "" {
		return
	}
	file := func(toplevel, keys bool) string { return fmt.Sprintf("%s-%t-%t.json", c.identity, toplevel, keys) }
	c.name = file(request.Toplevel, request.Keys)
	c.kept = kept{map[string]string{}, map[string]node{}}
	for _, toplevel := range []bool{request.Toplevel, true} {
		for _, keys := range []bool{request.Keys, true} {
			c.add(file(toplevel, keys))
		}
	}
}

// add adds what a file holds and is not known yet.
func (c *Cache) add(file string) {
	text, err := c.store.read(file)
	var more kept
	if err == nil {
		err = json.Unmarshal(text, &more)
	}
	if err != nil {
		c.log.Debug().Err(err).Msg("nothing is known of such an evaluation")
		return
	}
	for name, head := range more.Heads {
		if _, known := c.kept.Heads[name]; !known {
			c.kept.Heads[name] = head
		}
	}
	for name, node := range more.Nodes {
		if _, known := c.kept.Nodes[name]; !known {
			c.kept.Nodes[name] = node
		}
	}
}

// head tells the hive itself, if it is known, and which nodes are selected.
func (c *Cache) head(part nix.Part, hooks nix.Hooks) (selected []string, known bool) {
	c.mu.Lock()
	text, known := c.kept.Heads[selection(part)]
	c.mu.Unlock()
	var of struct{ Selected []string }
	if !known || json.Unmarshal([]byte(text), &of) != nil {
		return nil, false
	}
	if hooks.Head != nil {
		hooks.Head([]byte(text))
	}
	return of.Selected, true
}

// helps reports whether it is worth a process of its own to learn which nodes are
// selected: they may be known, and their tags need not be read for it.
func (c *Cache) helps(part nix.Part) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.kept.Nodes) > 0 && !slices.ContainsFunc(part.Selector.Patterns, func(p hive.Pattern) bool { return p.Kind == hive.ByTag })
}

// headAlone evaluates the hive itself, and returns which nodes are selected.
func (c *Cache) headAlone(ctx context.Context, part nix.Part, hooks nix.Hooks) (selected []string, err error) {
	tell := hooks.Head
	hooks.Head = func(text []byte) {
		var of struct{ Selected []string }
		if json.Unmarshal(text, &of) == nil {
			selected = of.Selected
		}
		if tell != nil {
			tell(text)
		}
	}
	part.Most = 0
	return selected, c.evaluate(ctx, part, hooks)
}

// selection is the part of a request that a head depends on.
func selection(part nix.Part) string {
	text, err := json.Marshal([]any{part.Selector, part.Guarded, part.Without})
	if err != nil {
		return ""
	}
	return string(text)
}

// tell tells a node, if it is known and what it names is still in the store.
func (c *Cache) tell(name string, hooks nix.Hooks) bool {
	c.mu.Lock()
	node, known := c.kept.Nodes[name]
	c.mu.Unlock()
	if !known || !inStore(node.Text) {
		return false
	}
	for _, text := range node.Warnings {
		c.Remember(name, text)
	}
	if hooks.Begun != nil {
		hooks.Begun(name)
	}
	if hooks.Announced != nil {
		hooks.Announced([]byte(node.Text))
	}
	if hooks.Done != nil {
		hooks.Done([]byte(node.Text))
	}
	return true
}

// inStore reports whether the derivations that a node names were not collected.
func inStore(text string) bool {
	var of struct {
		Toplevel   *struct{ DrvPath string }
		Deployment struct {
			Keys map[string]struct{ Builds []string }
		}
	}
	if json.Unmarshal([]byte(text), &of) != nil {
		return false
	}
	var drvs []string
	if of.Toplevel != nil {
		drvs = append(drvs, of.Toplevel.DrvPath)
	}
	for _, key := range of.Deployment.Keys {
		for _, output := range key.Builds {
			drv, _, _ := strings.Cut(output, "!")
			drvs = append(drvs, drv)
		}
	}
	return !slices.ContainsFunc(drvs, func(drv string) bool { _, err := os.Stat(drv); return err != nil })
}

// evaluate evaluates, and keeps what comes.
func (c *Cache) evaluate(ctx context.Context, part nix.Part, hooks nix.Hooks) error {
	warnings := map[string][]string{}
	keeping := hooks
	keeping.Warned = func(name, text string) {
		warnings[name] = append(warnings[name], text)
		if hooks.Warned != nil {
			hooks.Warned(name, text)
		}
	}
	keeping.Head = func(text []byte) {
		if part.Only == nil {
			c.keep(func() { c.kept.Heads[selection(part)] = string(text) })
		}
		if hooks.Head != nil {
			hooks.Head(text)
		}
	}
	keeping.Done = func(text []byte) {
		var of struct{ Name string }
		if json.Unmarshal(text, &of) == nil && of.Name != "" && !hasText(text) {
			c.keep(func() { c.kept.Nodes[of.Name] = node{string(text), warnings[of.Name]} })
		}
		if hooks.Done != nil {
			hooks.Done(text)
		}
	}
	return c.Evaluator.Run(ctx, part, keeping)
}

// hasText reports whether a node came with the text of a key, which is not kept.
func hasText(data []byte) bool {
	var of struct {
		Deployment struct {
			Keys map[string]struct{ Text *json.RawMessage }
		}
	}
	if json.Unmarshal(data, &of) != nil {
		return true
	}
	for _, key := range of.Deployment.Keys {
		if key.Text != nil && string(*key.Text) != "null" {
			return true
		}
	}
	return false
}

func (c *Cache) keep(add func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add()
	c.new = true
}

// Save writes down what was evaluated, unless the hive was changed meanwhile: each
// process has read it anew, so that nobody knows what was evaluated. What cannot be
// kept is no loss: that is said at level debug.
func (c *Cache) Save(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.new {
		return
	}
	c.new = false
	if c.Identity(ctx) != c.identity {
		c.log.Debug().Msg("what was evaluated is not kept: the hive was changed meanwhile")
		return
	}
	text, err := json.Marshal(c.kept)
	if err == nil {
		err = c.store.write(c.name, text)
	}
	if err != nil {
		c.log.Debug().Err(err).Msg("what was evaluated is not kept")
	}
}
