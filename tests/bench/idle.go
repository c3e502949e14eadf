package main

import (
	"fmt"
	"time"
)

// idle measures uploads that have nothing to do, or next to nothing: most are like that.
func (b *bench) idle() error {
	const n, k = 16, 199 // and the one that changes
	deliver := func(generation int) (time.Duration, error) {
		if err := b.hive(n, k, "I", fmt.Sprintf(`imports = [ { deployment.keys.one.text = "generation %d"; } ];`, generation)); err != nil {
			return 0, err
		}
		delivery, _, _, err := b.deploy("upload-keys")
		return delivery, err
	}
	if _, err := deliver(0); err != nil {
		return err
	}
	same, one := make([]pair, 9), make([]pair, 9)
	for i := range same {
		for _, run := range []struct {
			pair       *pair
			generation int
		}{{&same[i], i}, {&one[i], i + 1}} {
			var err error
			if run.pair.base, err = b.floor(n); err != nil {
				return err
			}
			if run.pair.took, err = deliver(run.generation); err != nil {
				return err
			}
		}
	}
	middle := medianPair(same)
	b.say("200 unchanged keys on each of 16 hosts, delivery", middle.took, middle.base, "16 ssh true at once", 2)
	middle = medianPair(one)
	b.say("  of which one changed on each", middle.took, middle.base, "16 ssh true at once", 2.2)
	return nil
}
