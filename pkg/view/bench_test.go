package view

import "testing"

func BenchmarkThreeHundredNodes(b *testing.B) {
	r := many()
	for b.Loop() {
		r.Lines(r.Record, Size{120, 40}, Look{Colour: true}, at(41))
	}
}
