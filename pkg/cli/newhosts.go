package cli

import (
	"fmt"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
)

// newHosts gathers hosts whose keys were recorded, so that many at once are told in one
// line and do not scroll away what else there is to see.
type newHosts struct {
	tell func(node, text string) // node is "" where it is about several

	mu    sync.Mutex
	met   []newHost
	timer *time.Timer // nil: nothing is to be told
}

type newHost struct{ node, fingerprint, file string }

// How long is waited for more, and how many are told by themselves.
const (
	gatherFor = time.Second
	fewHosts  = 3
)

// learnt: the key of a node's host is in a file now.
func (n *newHosts) learnt(node, fingerprint, file string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.met = append(n.met, newHost{node, fingerprint, file})
	if n.timer == nil {
		n.timer = time.AfterFunc(gatherFor, crash.Guarded(n.flush))
	}
}

// flush tells what there is to tell.
func (n *newHosts) flush() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.timer == nil {
		return
	}
	n.timer.Stop()
	met := n.met
	n.met, n.timer = nil, nil
	if len(met) <= fewHosts {
		for _, host := range met {
			n.tell(host.node, fmt.Sprintf("new host: its key %s is now in %s", host.fingerprint, host.file))
		}
		return
	}
	var files []string
	names := map[string][]string{}
	for _, host := range met {
		if names[host.file] == nil {
			files = append(files, host.file)
		}
		names[host.file] = append(names[host.file], host.node)
	}
	for _, file := range files {
		n.tell("", fmt.Sprintf("%s: new hosts, whose keys are now in %s", hive.FirstFew(names[file]), file))
	}
}
