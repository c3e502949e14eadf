package cli

import (
	"flag"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/evaluate"
)

// limited is a command that was given flags.
func limited(t *testing.T, values map[string]string) *cli.Context {
	t.Helper()
	set := flag.NewFlagSet("", flag.ContinueOnError)
	for _, name := range []string{"eval-workers", "eval-node-limit", "eval-memory", "parallel", "push-parallel", "build-jobs"} {
		set.String(name, map[string]string{"parallel": "10", "push-parallel": "10"}[name], "")
	}
	for name, value := range values {
		if err := set.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return cli.NewContext(cli.NewApp(), set, nil)
}

func TestTheMemoryOfAnEvaluationIsASizeOrAPartOfWhatIsFree(t *testing.T) {
	for text, want := range map[string]int64{
		"": 0, "1073741824": 1 << 30, "128M": 128 << 20, "500m": 500 << 20, "4G": 4 << 30, "4GiB": 4 << 30, "4GB": 4 << 30, "1.5G": 3 << 29, " 2T ": 2 << 40, "200000K": 200000 << 10,
	} {
		if got, err := evalMemory(limited(t, map[string]string{"eval-memory": text})); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	half, err := evalMemory(limited(t, map[string]string{"eval-memory": "50%"}))
	if free := evaluate.PartOfFree(1); err != nil || half < free/4 || half > free*3/4 {
		t.Errorf("%d of %d bytes, %v", half, free, err)
	}
	for text, says := range map[string]string{"4": "a size has a unit", "4096": "a size has a unit", "127M": "less than 128M", "1K": "less than 128M", "5B": "a size has a unit", "0.0001%": "less than 128M"} {
		if _, err := evalMemory(limited(t, map[string]string{"eval-memory": text})); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v does not say %q", text, err, says)
		}
	}
	for _, text := range []string{"0", "-1G", "0%", "101%", "-5%", "%", "G", "4X", "4 apples", "NaN", "NaN%", "Inf", "1e30", "99999999T", "4GG"} {
		if got, err := evalMemory(limited(t, map[string]string{"eval-memory": text})); err == nil || !strings.Contains(err.Error(), "--eval-memory is ") {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestTheLimitsOfAnEvaluationAreAsTheUserSays(t *testing.T) {
	for _, c := range []struct {
		flags map[string]string
		want  evaluate.Limits
	}{
		{nil, evaluate.Limits{}},
		{map[string]string{"eval-workers": "auto", "eval-node-limit": "auto"}, evaluate.Limits{}},
		{map[string]string{"eval-workers": "3", "eval-node-limit": "5", "eval-memory": "1G"}, evaluate.Limits{Workers: 3, PerNodes: 5, Memory: 1 << 30}},
		{map[string]string{"eval-node-limit": "0"}, evaluate.Limits{PerNodes: evaluate.AnyNumber}},
	} {
		if got, err := evalLimits(limited(t, c.flags)); err != nil || got != c.want {
			t.Errorf("%v: %+v, %v; want %+v", c.flags, got, err, c.want)
		}
	}
	for _, name := range []string{"eval-workers", "eval-node-limit"} {
		if _, err := evalLimits(limited(t, map[string]string{name: "many"})); err == nil || !strings.Contains(err.Error(), "--"+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCopiesHaveALimitOfTheirOwnOnlyIfTheUserSaysSo(t *testing.T) {
	one, err := schedule(limited(t, map[string]string{"parallel": "2"}))
	if err != nil || one.Push == nil || one.Push != one.Change || one.Build == nil || one.Build == one.Push {
		t.Errorf("%+v, %v", one, err)
	}
	two, err := schedule(limited(t, map[string]string{"parallel": "2", "push-parallel": "3"}))
	if err != nil || two.Push == nil || two.Push == two.Change || two.Build == two.Push {
		t.Errorf("%+v, %v", two, err)
	}
	none, err := schedule(limited(t, map[string]string{"parallel": "0", "push-parallel": "0"}))
	if err != nil || none.Push != nil || none.Build != nil || none.Change != nil {
		t.Errorf("%+v, %v", none, err)
	}
}
