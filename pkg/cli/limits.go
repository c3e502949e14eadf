package cli

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/evaluate"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
)

// auto leaves a number to the program.
const auto = "auto"

// evalLimits reads what an evaluation may take.
func evalLimits(c *cli.Context) (limits evaluate.Limits, err error) {
	if c.String("eval-workers") != auto && c.String("eval-workers") != "" {
		if limits.Workers, err = count(c, "eval-workers"); err != nil {
			return limits, err
		}
	}
	if limit := c.String("eval-node-limit"); limit != auto && limit != "" {
		if limits.PerNodes, err = count(c, "eval-node-limit"); err != nil {
			return limits, err
		}
		if limits.PerNodes == 0 {
			limits.PerNodes = evaluate.AnyNumber
		}
	}
	limits.Memory, err = evalMemory(c)
	return limits, err
}

// schedule reads how many hosts are dealt with at once. With --parallel alone one
// limit is for copies and changes together; what hosts build has one of its own, as
// it takes long and nothing of this machine.
func schedule(c *cli.Context) (deploy.Schedule, error) {
	parallel, err := count(c, "parallel")
	if err != nil {
		return deploy.Schedule{}, err
	}
	atWork := deploy.NewLimit(parallel, "-p")
	s := deploy.Schedule{Push: atWork, Build: deploy.NewLimit(parallel, "-p"), Change: atWork}
	if c.IsSet("push-parallel") {
		var pushes int
		pushes, err = count(c, "push-parallel")
		s.Push = deploy.NewLimit(pushes, "--push-parallel")
	}
	return s, err
}

// keyLimits are for the sources of keys.
type keyLimits struct {
	parallel int // keyCommands at once
	timeout  time.Duration
}

// anyNumber is more keyCommands than there will be.
const anyNumber = 1 << 20

func newKeyLimits(c *cli.Context) (limits keyLimits, err error) {
	if c.String("key-parallel") != "" || c.IsSet("key-parallel") {
		if limits.parallel, err = count(c, "key-parallel"); err != nil {
			return limits, err
		}
		if limits.parallel == 0 || limits.parallel > anyNumber {
			limits.parallel = anyNumber
		}
	}
	limits.timeout, err = duration(c, "key-timeout")
	return limits, err
}

// buildJobs is for Nix's max-jobs, "" to leave that alone. With 0 nothing is built
// here but what builders elsewhere build.
func buildJobs(c *cli.Context) (string, error) {
	jobs := c.String("build-jobs")
	if !c.IsSet("build-jobs") || jobs == auto {
		return jobs, nil
	}
	if _, err := strconv.ParseUint(jobs, 10, 31); err != nil {
		return "", usage("--build-jobs is %q: it must be a whole number or auto", jobs)
	}
	return jobs, nil
}

// duration reads a time that is longer than none: 90s, 5m, or a number of seconds. 0
// stands for a flag that is not given.
func duration(c *cli.Context, name string) (time.Duration, error) {
	text := strings.TrimSpace(c.String(name))
	if text == "" && !c.IsSet(name) {
		return 0, nil
	}
	if _, err := strconv.ParseUint(text, 10, 31); err == nil {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, usage("--%s is %q: it must be a time such as 90s or 5m", name, c.String(name))
	}
	return d, nil
}

// ofMemory tells what needs more memory than it may take.
func (e *evaluation) ofMemory(what string, err error) error {
	if !errors.Is(err, nixeval.ErrMemory) {
		return err
	}
	return fmt.Errorf("%s needs more memory to be evaluated than the %s that it may take; --eval-memory SIZE sets another limit", what, evaluate.Size(e.limits.Alone().Memory))
}

// leastMemory is what Nix needs to evaluate anything of NixOS.
const leastMemory = 128 << 20

// evalMemory is in bytes, 0 for what is best.
func evalMemory(c *cli.Context) (int64, error) {
	text := strings.TrimSpace(c.String("eval-memory"))
	if text == "" {
		return 0, nil
	}
	wrong := usage("--eval-memory is %q: it must be a size such as 500M or 4G, or a part of the free memory such as 50%%", text)
	if part, ok := strings.CutSuffix(text, "%"); ok {
		percent, err := strconv.ParseFloat(part, 64)
		if err != nil || !(percent > 0 && percent <= 100) {
			return 0, wrong
		}
		size := evaluate.PartOfFree(percent / 100)
		if 0 < size && size < leastMemory {
			return 0, usage("--eval-memory is %q, which is %dM now: with less than %dM, Nix can evaluate no node", text, size>>20, leastMemory>>20)
		}
		return size, nil
	}
	digits := strings.TrimRight(strings.ToUpper(text), "KMGTIB")
	unit := strings.TrimSuffix(strings.ToUpper(text[len(digits):]), "B")
	factor, known := units[unit]
	size, err := strconv.ParseFloat(digits, 64)
	switch {
	case err != nil || !known || !(size > 0) || size*factor > math.MaxInt64/2:
		return 0, wrong
	case size*factor < leastMemory && unit == "":
		return 0, usage("--eval-memory is %q, which is as many bytes: a size has a unit, as in 500M or 4G", text)
	case size*factor < leastMemory:
		return 0, usage("--eval-memory is %q: with less than %dM, Nix can evaluate no node", text, leastMemory>>20)
	}
	return int64(size * factor), nil
}

// units of a size, each 1024 of the one before; a B may follow.
var units = map[string]float64{
	"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "KI": 1 << 10, "MI": 1 << 20, "GI": 1 << 30, "TI": 1 << 40,
}
