package event

import "testing"

func TestSizesAreAsPeopleSayThem(t *testing.T) {
	for bytes, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 3449: "3.4 kB", 9949: "9.9 kB", 9950: "10 kB", 52_000_000: "52 MB",
		999_499: "999 kB", 999_500: "1.0 MB", 999_999_999: "1.0 GB", 2_500_000_000_000_000: "2500 TB",
	} {
		if got := Size(bytes); got != want {
			t.Errorf("%d is %q, want %q", bytes, got, want)
		}
	}
}
