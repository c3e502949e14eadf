package hosts_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
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
	if got, was := changedPackages(t, o); got != "[{openssl [3.0.13] [3.0.14]}]" || was != before {
		t.Errorf("packages %s, before %s", got, was)
	}
	if page := d.read("report.html"); !strings.Contains(page, "openssl 3.0.13 → 3.0.14") || !strings.Contains(page, before) {
		t.Errorf("the page does not tell:\n%s", page)
	}
}

// changedPackages are those of the first result, which says what the host ran before.
func changedPackages(t *testing.T, o outcome) (changed, before string) {
	t.Helper()
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
	return fmt.Sprint(r.Packages.Changed), r.Before
}

// Of a system that is not here, or not yet, its host knows what it needs.
func TestAReportComparesWhatOnlyTheHostHas(t *testing.T) {
	d := deploying(t, 1)
	for i, flag := range []string{"--no-build-on-target", "--no-build-on-target", "--build-on-target"} {
		d.hive(fmt.Sprintf(`{ host1.environment.etc.openssl.source = derivation { name = "openssl-3.0.%d"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo only there >$out" ]; }; }`, i))
		o := d.must("apply", flag, "--report", "report.html")
		if got, _ := changedPackages(t, o); i > 0 && got != fmt.Sprintf("[{openssl [3.0.%d] [3.0.%d]}]", i-1, i) {
			t.Errorf("%d, %s: packages %s", i, flag, got)
		}
		if flag == "--build-on-target" {
			continue
		}
		forget := exec.Command("nix-store", "--delete", o.toplevel(t, "host1"))
		forget.Env = d.env
		if out, err := forget.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}
