package upload

import (
	"context"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// lookLimit is how long a host may take to tell what it has.
const lookLimit = 2 * time.Minute

// Look tells what [Run] would do, and changes nothing on the host: no directory, stage,
// file or lock is made there, and not even the time of a key's last access is. Digests of what the host has come back; none goes
// there. An upload that is under way is noted and not waited for.
func Look(ctx context.Context, host hostscript.Runner, req Request) (plan.KeyPlan, error) {
	if len(req.Keys) == 0 {
		return nil, nil
	}
	wanted, _, _ := contents(req.Keys)
	c, stop := begin(ctx, host, lookLimit, "the host did not tell its keys")
	defer stop()
	seen, err := c.look(req, noStage, byDirectory(wanted))
	if err != nil {
		return nil, err
	}
	c.send(words(nil).bytes())
	if req.Recall != nil {
		req.Recall(&seen.Memory)
	}
	return plan.Keys(wanted, seen, req.Policy, req.Earlier)
}
