package deploy

import (
	"context"
	"fmt"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/memory"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/upload"
)

// recall learns what a host remembers while keys are brought to it: mostly that there is
// nothing to remove.
func (n *nodeRun) recall(m *memory.Memory) {
	n.known.Tidy = len(plan.Candidates(m, n.node.Name, n.node.Keys)) == 0
}

func (n *nodeRun) staleRequest() upload.Request {
	return upload.Request{
		Root: n.opts.KeyRoot, Node: n.node.Name, Who: n.opts.Who, Note: n.note, Warn: n.warn,
		Begin: func() { n.changing = true },
	}
}

// prune removes what is no key of the node any more, once all keys are in place.
func (n *nodeRun) prune(ctx context.Context) error {
	n.quietly("looking for keys that are no more")
	var agree func(plan.StaleFile) bool
	if shown := n.shown(); shown != nil {
		agree = shown.Removes
	}
	files, err := upload.Prune(ctx, n.host, n.staleRequest(), n.node.Keys, agree)
	if err != nil {
		return fmt.Errorf("removing keys that are no more: %w", err)
	}
	n.mu.Lock()
	for _, f := range files {
		if f.Remove() {
			n.result.Keys = append(n.result.Keys, event.KeyResult{Name: f.Attr, Path: f.Path, Change: plan.Removed})
		}
	}
	n.mu.Unlock()
	n.tellKept(files)
	return nil
}

// foreseeStale finds out what would be removed.
func (n *nodeRun) foreseeStale(ctx context.Context) error {
	n.quietly("looking for keys that are no more")
	files, err := upload.LookStale(ctx, n.host, n.staleRequest(), n.node.Keys)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.Remove() {
			n.outlook.Keys = append(n.outlook.Keys, plan.KeyOutlook{Name: f.Attr, Path: f.Path, Change: plan.Removed, InMemory: f.Volatile})
		}
	}
	n.tellKept(files)
	return nil
}

// tellKept says which files stay, though they are no keys.
func (n *nodeRun) tellKept(files []plan.StaleFile) {
	for _, f := range files {
		if f.Kept != "" {
			n.warn(fmt.Sprintf("%s is no key any more, and stays: %s; remove it yourself if it is not wanted", f.Path, f.Kept))
		}
	}
}
