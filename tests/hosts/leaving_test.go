package hosts_test

import (
	"bufio"
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/tests/schemas"
)

// becomes waits until the host has the name.
func (d *deployer) becomes(name string) {
	d.t.Helper()
	var got string
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got = d.on("host1", "cat /etc/hostname"); got == name {
			return
		}
	}
	d.t.Errorf("the host is %s, want %s", got, name)
}

func TestTheSecondInterruptLeavesWithWhatIsKnownByThen(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1 = { networking.hostName = "left-alone"; system.activationScripts.slow = "sleep 5"; }; }`)
	d.must("build")
	cmd := d.command("apply", "--json-events", "--report", "report.html", "--metrics", "run.prom", "--trace", "trace.json")
	var events bytes.Buffer
	cmd.Stdout = &events
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for lines := bufio.NewScanner(said); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		for _, sign := range []string{"activating: switch", "waiting for host1 (activating)"} {
			if strings.HasSuffix(lines.Text(), sign) {
				cmd.Process.Signal(os.Interrupt)
			}
		}
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit %d", code)
	}
	for _, want := range []string{
		"colmena-go: interrupted: starting nothing new", "quit early; results so far:\nNODE ", "host1  left (activating)  -  ",
		"0 of 1 nodes succeeded, 1 left\nagain: ", "apply --on host1 --report",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not said:\n%s", want, text.String())
		}
	}
	for form, document := range map[string]string{"events": events.String(), "trace": d.read("trace.json")} {
		if err := schemas.Validate(form, []byte(document)); err != nil {
			t.Errorf("%s: %v\n%s", form, err, document)
		}
	}
	for document, want := range map[string]string{
		events.String(): `"status":"interrupted","seconds":`, d.read("run.prom"): `colmena_go_run_nodes{status="left"} 1` + "\n", d.read("report.html"): "left (activating)",
	} {
		if !strings.Contains(document, want) {
			t.Errorf("%q is not in\n%s", want, document)
		}
	}
	d.becomes("left-alone") // by itself
	d.on("host1", "while pgrep -f '[s]witch-to-configuration'; do sleep 0.1; done")
	d.settled()
}
