package schemas

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEverySchemaIsOneAndIsExplained(t *testing.T) {
	files, err := Files()
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	manual, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		base := filepath.Base(file)
		if _, err := Compile(strings.TrimSuffix(base, ".schema.json")); err != nil {
			t.Errorf("%s: %v", base, err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var head struct {
			Draft string `json:"$schema"`
			ID    string `json:"$id"`
			Title string
		}
		if err := json.Unmarshal(text, &head); err != nil || head.Draft != "https://json-schema.org/draft/2020-12/schema" || head.ID != home+base || head.Title == "" {
			t.Errorf("%s: %+v, %v", base, head, err)
		}
		if !strings.Contains(string(manual), "("+base+")") {
			t.Errorf("docs/json.md does not name %s", base)
		}
	}
}

// A schema that takes anything would prove nothing.
func TestWhatIsNoResultIsRefused(t *testing.T) {
	for _, text := range []string{
		``, `{`, `[]`, `{"results": []}`,
		`{"version": 2, "command": "apply", "goal": "switch", "begin": "2026-11-27T12:00:00Z", "seconds": 1, "results": []}`,
		`{"version": 1, "command": "apply", "goal": "switch", "begin": "noon", "seconds": 1, "results": []}`,
		`{"version": 1, "command": "apply", "goal": "switch", "begin": "2026-11-27T12:00:00Z", "seconds": 1, "results": [{"node": "web"}]}`,
	} {
		if Validate("results", []byte(text)) == nil {
			t.Errorf("%s is taken", text)
		}
	}
	if err := Validate("results", []byte(`{"version": 1, "command": "apply", "goal": "switch", "begin": "2026-11-27T12:00:00Z", "seconds": 1, "results": []}`)); err != nil {
		t.Error(err)
	}
}
