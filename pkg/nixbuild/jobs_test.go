package nixbuild

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/colmena-go/colmena-go/pkg/nix"
	"github.com/colmena-go/colmena-go/tests/nixenv"
)

func TestJobsAreDividedAmongProcesses(t *testing.T) {
	yes, no := func() bool { return true }, func() bool { return false }
	for _, c := range []struct {
		total int
		last  []func() bool // for each process
		want  []int
	}{
		{8, []func() bool{no, no, no, no}, []int{4, 2, 1, 1}},
		{8, []func() bool{no, yes}, []int{4, 4}},
		{8, []func() bool{yes}, []int{8}},
		{1, []func() bool{no}, []int{1}},
		{0, []func() bool{no, no, no}, []int{0, 0, 0}}, // remote builders have limits of their own
	} {
		j := newJobs()
		j.limit(c.total)
		var got []int
		for _, last := range c.last {
			n, err := j.take(t.Context(), last)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, n)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("of %d: %v, want %v", c.total, got, c.want)
		}
		if c.total == 0 {
			continue
		}
		waits := make(chan int)
		go func() { n, _ := j.take(t.Context(), yes); waits <- n }()
		j.give(c.want[0])
		if n := <-waits; n < 1 || n > c.total {
			t.Errorf("who waited got %d", n)
		}
	}
}

func TestWhoWaitsForJobsHearsOfTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJobs() // the limit is never known
		ctx, stop := context.WithCancelCause(t.Context())
		ended := make(chan error, 1)
		go func() { _, err := j.take(ctx, func() bool { return true }); ended <- err }()
		synctest.Wait() // it waits by now
		why := errors.New("enough")
		stop(why)
		if err := <-ended; !errors.Is(err, why) {
			t.Errorf("%v", err)
		}
	})
}

func TestMaxJobsIsWhatNixAndTheUserSay(t *testing.T) {
	nixenv.Use(t)
	for value, want := range map[string]int{"": 1, "3": 3, "0": 0} {
		tool := nix.Tool{}
		if value != "" {
			tool.Options = [][2]string{{"max-jobs", value}}
		}
		if got := maxJobs(t.Context(), tool); got != want {
			t.Errorf("%q: %d, want %d", value, got, want)
		}
	}
	if got := maxJobs(t.Context(), nix.Tool{Options: [][2]string{{"max-jobs", "auto"}}}); got < 1 {
		t.Errorf("auto: %d", got)
	}
}
