package hosts_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestAReportTellsWhichPackagesChanged(t *testing.T) {
	d := deploying(t, 1)
	system := func(version string) {
		d.hive(fmt.Sprintf(`{ host1.environment.etc.openssl.source = derivation { name = "openssl-%s"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo 1 >$out" ]; }; }`, version))
	}
	system("3.0.13")
	before := d.must("apply").toplevel(t, "host1")
	system("3.0.14")
	o := d.must("apply", "--report", "report.html", "--trace", "trace.json")
	var document struct {
		Results []struct {
			Before   string
			Packages struct {
				Changed []struct {
					Name     string
					Old, New []string
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(o.stdout), &document); err != nil {
		t.Fatal(err)
	}
	r := document.Results[0]
	if got := fmt.Sprint(r.Packages.Changed); got != "[{openssl [3.0.13] [3.0.14]}]" || r.Before != before {
		t.Errorf("packages %s, before %s", got, r.Before)
	}
	if page := d.read("report.html"); !strings.Contains(page, "openssl 3.0.13 → 3.0.14") || !strings.Contains(page, before) {
		t.Errorf("the page does not tell:\n%s", page)
	}
}
