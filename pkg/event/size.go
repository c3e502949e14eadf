package event

import "fmt"

// Size says for people how many bytes there are: 812 B, 3.4 kB, 52 MB.
func Size(bytes int64) string {
	size, unit := float64(bytes), "B"
	for _, larger := range []string{"kB", "MB", "GB", "TB"} {
		if size < 999.5 { // which would be shown as 1000
			break
		}
		size, unit = size/1000, larger
	}
	if unit == "B" || size >= 9.95 {
		return fmt.Sprintf("%.0f %s", size, unit)
	}
	return fmt.Sprintf("%.1f %s", size, unit)
}
