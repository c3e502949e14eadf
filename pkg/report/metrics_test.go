package report

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/record"
	"github.com/colmena-go/colmena-go/tests/lacking"
)

func metricsOf(t *testing.T, r *record.Record) string {
	t.Helper()
	var out bytes.Buffer
	if err := Metrics(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestMetricsAreFiguresOfTheRun(t *testing.T) {
	got := metricsOf(t, recorded(nil))
	for _, want := range []string{
		"# HELP colmena_go_run_info The last run: always 1.\n# TYPE colmena_go_run_info gauge\n" + `colmena_go_run_info{version="1.0",command="apply",goal="switch"} 1`,
		`colmena_go_run_success 0`,
		`colmena_go_run_end_timestamp_seconds 1795780820`,
		`colmena_go_run_duration_seconds 20`,
		`colmena_go_run_nodes{status="succeeded"} 1`,
		`colmena_go_run_nodes{status="left"} 0`,
		`colmena_go_node_success{node="web"} 1`,
		`colmena_go_node_success{node="d\"b\\"} 0`,
		`colmena_go_node_duration_seconds{node="web"} 12`,
		`colmena_go_node_step_duration_seconds{node="web",step="evaluate"} 2`,
		`colmena_go_node_step_duration_seconds{node="web",step="push"} 4`,
		`colmena_go_node_step_wait_seconds{node="web",step="push"} 1`,
		`colmena_go_node_copied_bytes{node="web"} 7`,
		`colmena_go_node_copied_paths{node="web"} 2`,
		`colmena_go_node_keys{node="web",change="changed"} 1`,
		`colmena_go_node_keys{node="web",change="skipped"} 0`,
		`colmena_go_node_reboot_needed{node="web"} 0`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("%s\nlacks %s", got, want)
		}
	}
	manual, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(got) {
		if name, found := strings.CutPrefix(line, "# HELP colmena_go_"); found {
			if name, _, _ = strings.Cut(name, " "); !strings.Contains(string(manual), "`"+name+"`") {
				t.Errorf("docs/json.md does not name %s", name)
			}
		}
	}
}

func TestPrometheusTakesTheMetrics(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		promtool, err = exec.LookPath("../../.cache/promtool") // of tests/programs.sh
	}
	if err != nil {
		lacking.Skip(t, "needs promtool: ", err)
	}
	evil := recorded(nil)
	evil.Nodes[0].Name = "a\nb{c=\"d\"} 1\xff"
	for name, r := range map[string]*record.Record{"a run": recorded(nil), "a hostile name": evil, "a run without nodes": {Begin: noon, End: noon}} {
		file := filepath.Join(t.TempDir(), "metrics")
		if err := os.WriteFile(file, []byte(metricsOf(t, r)), 0o600); err != nil {
			t.Fatal(err)
		}
		input, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		check := exec.Command(promtool, "check", "metrics")
		check.Stdin = input
		if said, err := check.CombinedOutput(); err != nil || len(said) > 0 {
			t.Errorf("%s: %v\n%s", name, err, said)
		}
		input.Close()
	}
}
