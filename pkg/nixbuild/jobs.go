package nixbuild

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/nix"
)

// jobs are the builds that Nix may do at a time on this machine (max-jobs,
// nix.conf(5)), divided among its processes: each by itself would take all. Nodes that
// come later must not wait for all that was begun, so a process gets half of what
// is left; when no more nodes are to come, it gets all of that.
type jobs struct {
	ask   sync.Once // for the limit
	mu    sync.Mutex
	freed *sync.Cond
	known bool // total is
	total int  // 0: not limited here
	used  int
}

func newJobs() *jobs {
	j := &jobs{}
	j.freed = sync.NewCond(&j.mu)
	return j
}

func (j *jobs) limit(total int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.known, j.total = true, max(0, total)
	j.freed.Broadcast()
}

// take waits until the limit is known and jobs are left, and returns 0 for as many
// as Nix likes. last tells whether no other process is to come. It fails with the
// cause of ctx.
func (j *jobs) take(ctx context.Context, last func() bool) (n int, err error) {
	stop := context.AfterFunc(ctx, func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.freed.Broadcast()
	})
	defer stop()
	j.mu.Lock()
	defer j.mu.Unlock()
	for ctx.Err() == nil && (!j.known || j.total > 0 && j.used >= j.total) {
		j.freed.Wait()
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if j.total == 0 {
		return 0, nil
	}
	if n = j.total - j.used; !last() {
		n = (n + 1) / 2
	}
	j.used += n
	return n, nil
}

func (j *jobs) give(n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.used -= n
	j.freed.Broadcast()
}

// maxJobs asks Nix for its setting, with the user's options; 0 if it is not known,
// or if nothing is built here.
func maxJobs(ctx context.Context, tool nix.Tool) int {
	settings, err := tool.Settings(ctx)
	if err != nil {
		return 0
	}
	var n int
	if json.Unmarshal(settings["max-jobs"].Value, &n) != nil {
		return 0
	}
	return n
}
