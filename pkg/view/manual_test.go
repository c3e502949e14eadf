package view

import (
	"os"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/manual"
)

func TestTheManualShowsAPicture(t *testing.T) {
	text, err := os.ReadFile("../../docs/deploying.md")
	if err != nil {
		t.Fatal(err)
	}
	page, err := manual.Parse("docs/deploying.md", string(text))
	if err != nil {
		t.Fatal(err)
	}
	r := twenty()
	lines := r.Lines(r.Record, Size{80, 19}, Look{}, at(41))
	drawn := strings.Join(lines, "\n") + "\n"
	for _, step := range page.Steps {
		if step.Arg == "pkg/view tests it to the byte" && step.Text != drawn {
			t.Errorf("docs/deploying.md shows\n%s\nand not\n%s", step.Text, drawn)
		}
	}
}
