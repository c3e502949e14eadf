package cli

import (
	"math"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/evaluate"
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
		return evaluate.PartOfFree(percent / 100), nil
	}
	digits := strings.TrimRight(strings.ToUpper(text), "KMGTIB")
	unit := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(text[len(digits):]), "B"), "I")
	factor, known := map[string]float64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}[unit]
	size, err := strconv.ParseFloat(digits, 64)
	if err != nil || !known || !(size > 0) || size*factor > math.MaxInt64/2 {
		return 0, wrong
	}
	return int64(size * factor), nil
}
