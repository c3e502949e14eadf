// Package evalcache keeps what an evaluation found, so that the same is not
// evaluated again: where systems are, and deployment options. It never keeps the
// texts of keys or what their commands print.
package evalcache

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
	"github.com/colmena-go/colmena-go/pkg/ownfolder"
)

// Evaluator is what has to be evaluated; [nixeval.Evaluator] is one.
type Evaluator interface {
	Run(ctx context.Context, part nixeval.Part, hooks nixeval.Hooks) error
	Identity(ctx context.Context) string
	Say(nixeval.Word)
}

// Cache is an Evaluator that evaluates only what is not known.
type Cache struct {
	Evaluator
	store store
	log   zerolog.Logger

	once     sync.Once
	identity string // of the hive; "" while nothing is to be kept

	mu   sync.Mutex
	kept kept
}

// New returns a Cache that keeps its files in a folder, which it makes if it must.
// What cannot be kept or read there is no loss: that is said at level debug.
func New(evaluator Evaluator, dir string, log zerolog.Logger) *Cache {
	return &Cache{Evaluator: evaluator, store: store{dir}, log: log}
}

// Run is that of the Evaluator, but for what is known, of which the Evaluator says
// again what it said. It asks for the texts of keys each time.
func (c *Cache) Run(ctx context.Context, part nixeval.Part, hooks nixeval.Hooks) error {
	if part.Texts {
		return c.Evaluator.Run(ctx, part, hooks)
	}
	c.once.Do(func() {
		if c.identity = c.Identity(ctx); c.identity != "" {
			c.kept = c.read()
		}
	})
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
	missing := c.tell(nodes[:min(len(nodes), part.Most)], part.Request, hooks)
	if len(missing) == 0 {
		return nil
	}
	part.Only, part.Most = missing, len(missing)
	hooks.Head = nil // it was told
	return c.evaluate(ctx, part, hooks)
}

// head tells the hive itself, if it is known, and which nodes are selected.
func (c *Cache) head(part nixeval.Part, hooks nixeval.Hooks) (selected []string, known bool) {
	c.mu.Lock()
	head, selected, known := c.kept.head(part)
	c.mu.Unlock()
	if !known {
		return nil, false
	}
	c.sayAgain(head)
	if hooks.Head != nil {
		hooks.Head(head.Text)
	}
	return selected, true
}

func (c *Cache) sayAgain(about told) {
	for _, word := range about.Words {
		c.Say(word)
	}
}

// helps reports whether it is worth a process of its own to learn which nodes are
// selected: they may be known, and their tags need not be read for it.
func (c *Cache) helps(part nixeval.Part) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.kept.Nodes) > 0 && !slices.ContainsFunc(part.Selector.Patterns, func(p hive.Pattern) bool { return p.Kind == hive.ByTag })
}

// headAlone evaluates the hive itself, and returns which nodes are selected.
func (c *Cache) headAlone(ctx context.Context, part nixeval.Part, hooks nixeval.Hooks) (selected []string, err error) {
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

// tell tells the nodes that are known, how to reach them first, and returns the
// others. They are not said to begin: that is for what takes time.
func (c *Cache) tell(names []string, request nixeval.Request, hooks nixeval.Hooks) (missing []string) {
	known := map[string]told{}
	for _, name := range names {
		c.mu.Lock()
		node, ok := c.kept.node(name, request)
		c.mu.Unlock()
		if !ok || !inStore(node.Text) {
			missing = append(missing, name)
			continue
		}
		known[name] = node
		if hooks.Announced != nil {
			hooks.Announced(node.Text)
		}
	}
	for _, name := range names {
		if node, ok := known[name]; ok {
			c.sayAgain(node)
			if hooks.Done != nil {
				hooks.Done(node.Text)
			}
		}
	}
	return missing
}

// evaluate evaluates, and keeps what comes, unless the hive has changed since its
// identity was asked for: each process reads it anew. That is looked at when the
// process has read it, which is when it tells the head.
func (c *Cache) evaluate(ctx context.Context, part nixeval.Part, hooks nixeval.Hooks) error {
	heard := hearing{part: part}
	var looks []func() bool // more than one where a process began again
	err := c.Evaluator.Run(ctx, part, heard.with(hooks, func() { looks = append(looks, c.unchanged(ctx)) }))
	same := true
	for _, look := range looks {
		same = look() && same
	}
	switch {
	case len(looks) == 0:
	case same:
		c.add(heard.kept())
	default:
		c.log.Debug().Msg("what was evaluated is not kept: the hive was changed meanwhile, or the evaluation ended at once")
	}
	return err
}

// unchanged begins to look whether the hive is the same still, and returns what waits
// for the answer.
func (c *Cache) unchanged(ctx context.Context) func() bool {
	answer := make(chan bool, 1)
	go crash.Guarded(func() { answer <- c.Identity(ctx) == c.identity })()
	return func() bool { return <-answer }
}

// add adds to what is known, here and for who comes later.
func (c *Cache) add(more kept) {
	if len(more.Heads)+len(more.Nodes) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept.add(c.read()) // what others have found meanwhile
	c.kept.add(more)
	text, err := json.Marshal(c.kept)
	if err == nil {
		err = c.store.write(c.identity+ownfolder.KeptSuffix, text)
	}
	if err != nil {
		c.log.Debug().Err(err).Msg("what was evaluated is not kept")
	}
}

// read is what the file of this hive holds.
func (c *Cache) read() (all kept) {
	text, err := c.store.read(c.identity + ownfolder.KeptSuffix)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		c.log.Debug().Err(err).Msg("nothing is known of an earlier evaluation")
		return kept{}
	}
	return all
}
