package page

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/record"
	"github.com/colmena-go/colmena-go/pkg/report"
	"github.com/colmena-go/colmena-go/tests/browser"
)

func TestMain(m *testing.M) { browser.Main(m) }

// show shows the page of a run in a browser.
func show(t *testing.T, r *record.Record, width, height int) *browser.Page {
	t.Helper()
	var text bytes.Buffer
	if err := report.Page(&text, r); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return browser.Open(t, file, width, height)
}

// keep writes a picture of the window, or of all of the page, where COLMENA_GO_PICTURES
// says, for people.
func keep(t *testing.T, name string, p *browser.Page, all bool) {
	t.Helper()
	dir := os.Getenv("COLMENA_GO_PICTURES")
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), p.Shot(all), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestThePageNeedsNothingElse(t *testing.T) {
	p := show(t, told(record.NotAllDone, nil, fleet(12)...), 1100, 1400)
	if list := p.Complaints(); len(list) > 0 {
		t.Errorf("the browser complains: %s", list)
	}
	if list := p.Loaded(); len(list) != 1 {
		t.Errorf("it loads %s", list)
	}
	if back := p.Text(`getComputedStyle(document.body).backgroundColor`); back != "rgb(255, 255, 255)" {
		t.Errorf("its style is not in force: the background is %s", back)
	}
	for what, want := range map[string]string{
		`document.title`: "colmena-go apply: failed",
		`document.querySelector("h1").innerText.replace(/\s+/g, " ")`:                                       "apply switch failed",
		`[...document.querySelectorAll(".counts li")].map(x => x.innerText).join(", ")`:                     "10 succeeded, 2 failed",
		`[...document.querySelectorAll("article h3 a")].map(x => x.innerText).sort().join(" ")`:             "web-04 web-09",
		`document.querySelector(".fleet tbody th").innerText`:                                               "web-04",
		`[...document.querySelectorAll(".legend li")].map(x => x.innerText.trim()).join(" ")`:               "evaluate connect inspect build push keys upload activate waiting for a slot",
		`document.querySelector("#node-4 .name").innerText`:                                                 "web-04",
		`[...document.querySelectorAll("details.node[open] .name")].map(x => x.innerText).sort().join(" ")`: "web-04 web-09",
	} {
		if got := p.Text(what); got != want {
			t.Errorf("%s is %q, want %q", what, got, want)
		}
	}
	keep(t, "fleet-light", p, true)
}

func TestHowItWentComesFirst(t *testing.T) {
	p := show(t, told(record.NotAllDone, nil, fleet(7)...), 960, 1000)
	var places []float64 // of the result, of a reason, and of all that is not about one node
	p.Ask(`["h1", ".reason pre", "main > section:last-of-type"].map(what => document.querySelector(what).getBoundingClientRect().top)`, &places)
	if places[0] > 50 || places[1] > 350 || places[2] > 1300 {
		t.Errorf("they begin at %v", places)
	}
	p.Width(960, int(places[2]))
	keep(t, "report", p, false)
}

func TestThePageIsDarkOrLightAndLegibleInBoth(t *testing.T) {
	p := show(t, told(record.NotAllDone, nil, fleet(12)...), 1100, 1400)
	// contrast is the lowest of all texts with what is behind them (WCAG 2).
	const contrast = `(() => {
		const parts = c => c.match(/[\d.]+/g).map(Number);
		const light = c => { const [r, g, b] = parts(c).map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
		const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if ((parts(c)[3] ?? 1) > 0) return c; } return "rgb(255, 255, 255)"; };
		let least = 99, who = "";
		for (const e of document.querySelectorAll("h1, h2, h3, p, li, strong, td, th, a, pre, summary span, dt, dd")) {
			const a = light(getComputedStyle(e).color), b = light(behind(e));
			const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
			if (ratio < least) { least = ratio; who = e.outerHTML.slice(0, 80); }
		}
		return least.toFixed(1) + " " + who;
	})()`
	backs := map[string]bool{}
	for _, scheme := range []string{"light", "dark"} {
		p.Prefer("screen", scheme)
		backs[p.Text(`getComputedStyle(document.body).backgroundColor`)] = true
		if least := p.Text(contrast); least < "4.5" && !strings.HasPrefix(least, "1") {
			t.Errorf("%s: the least contrast is %s", scheme, least)
		}
		keep(t, "fleet-"+scheme, p, true)
	}
	if len(backs) != 2 {
		t.Errorf("both have the background %v", backs)
	}
}

func TestAKeyboardReachesEverything(t *testing.T) {
	p := show(t, told(record.NotAllDone, nil, fleet(4)...), 1100, 900)
	const at = `(() => { const e = document.activeElement, s = getComputedStyle(e); return e.tagName + " " + e.innerText.trim().split("\n")[0] + (s.outlineStyle == "none" ? " unseen" : ""); })()`
	p.Press("Tab")
	if got := p.Text(at); got != "A Skip to the fleet" {
		t.Errorf("first comes %q", got)
	}
	p.Press("Enter")
	p.Press("Tab")
	if got := p.Text(at); got != "A web-04" {
		t.Errorf("behind the link to the fleet comes %q", got)
	}
	seen := map[string]int{}
	for range 40 {
		if where := p.Text(at); !strings.HasPrefix(where, "BODY") { // the browser's own
			seen[where]++
		}
		p.Press("Tab")
	}
	for what := range seen {
		if strings.HasSuffix(what, "unseen") {
			t.Errorf("where the keyboard is cannot be seen at %q", what)
		}
	}
	for _, node := range []string{"web-01", "web-02", "web-03", "web-04"} {
		if seen["SUMMARY "+node+" succeeded"]+seen["SUMMARY "+node]+seen["SUMMARY "+node+" reboot needed"] == 0 && seen["A "+node] < 2 {
			t.Errorf("%s is not reached: %v", node, seen)
		}
	}
	p.Ask(`document.querySelector("#node-1 summary").focus()`, nil)
	p.Press("Enter")
	var open bool
	if p.Ask(`document.querySelector("#node-1").open`, &open); !open {
		t.Error("Enter does not open a node")
	}
}

// Names, errors and output come from hives and hosts.
func TestHostileTextsAreOnlyText(t *testing.T) {
	const evil = `"><img src=x onerror=alert(1)><script>alert(2)</script></style></pre>` + "\u202e\x1b[31m{{.}}"
	n := switched(evil, 0)
	n.result.Keys[0] = event.KeyResult{Name: evil, Path: "/run/" + evil, Change: plan.Changed, Note: evil}
	n.result.Toplevel, n.result.Host = evil, "javascript:alert(1)"
	n.steps[4].text, n.steps[4].warns = evil, evil
	bad := switched("bad"+evil, 1).fails(plan.Push, evil, evil, strings.Repeat("x", 5000))
	r := told(record.NotAllDone, errors.New(evil), n, bad)
	r.Add(event.Event{Time: begin, Kind: event.Diagnostic, Text: `{"level":"warn","message":"<script>alert(3)</script>"}`})
	p := show(t, r, 1100, 1400)
	if list := p.Complaints(); len(list) > 0 {
		t.Errorf("the browser complains: %s", list)
	}
	if list := p.Loaded(); len(list) != 1 {
		t.Errorf("it loads %s", list)
	}
	var number int
	p.Ask(`document.querySelectorAll("script, img, iframe, object, embed, form, link, base, style ~ style").length + [...document.querySelectorAll("*")].filter(e => [...e.attributes].some(a => a.name.startsWith("on"))).length + [...document.querySelectorAll("a")].filter(a => !a.getAttribute("href").startsWith("#")).length`, &number)
	if number != 0 {
		t.Errorf("%d elements come from texts", number)
	}
	if text := p.Text(`document.body.innerText`); !strings.Contains(text, "<script>alert(2)</script>") || !strings.Contains(text, "<script>alert(3)</script>") || strings.ContainsAny(text, "\u202e\x1b") {
		t.Error("a text is lost, or turns what is around it")
	}
	var wide bool
	if p.Ask(`document.documentElement.scrollWidth > document.documentElement.clientWidth`, &wide); wide {
		t.Error("a long word makes the page wider than the window")
	}
}

func TestThePageFitsANarrowWindow(t *testing.T) {
	p := show(t, told(record.NotAllDone, nil, fleet(12)...), 1100, 900)
	for _, width := range []int{360, 600, 1600} {
		p.Width(width, 900)
		var scrolls int
		if p.Ask(`document.documentElement.scrollWidth`, &scrolls); scrolls > width {
			t.Errorf("in a window of %d pixels it is %d wide", width, scrolls)
		}
		keep(t, fmt.Sprintf("fleet-%d", width), p, true)
	}
}

func TestWhatIsPrintedHasAllOfIt(t *testing.T) {
	p := show(t, told(record.AllDone, nil, fleet(3)...), 1100, 900)
	p.Prefer("print", "dark")
	var unseen int
	p.Ask(`[...document.querySelectorAll("details.node table")].filter(e => e.checkVisibility({contentVisibilityAuto: true}) == false || e.getBoundingClientRect().height < 20).length`, &unseen)
	if unseen > 0 {
		t.Errorf("%d tables of nodes are not printed", unseen)
	}
	if back := p.Text(`getComputedStyle(document.body).backgroundColor`); back != "rgb(255, 255, 255)" {
		t.Errorf("paper is %s", back)
	}
	p.PDF()
}

func TestThreeHundredNodesAreOnePage(t *testing.T) {
	p := show(t, told(record.NotAllDone, nil, fleet(300)...), 1200, 1000)
	var rows []int
	p.Ask(`[document.querySelectorAll(".fleet tbody tr").length, document.querySelectorAll(".timeline .row:not(.axis)").length, document.querySelectorAll("details.node").length]`, &rows)
	if fmt.Sprint(rows) != "[300 300 300]" {
		t.Errorf("%v", rows)
	}
	keep(t, "many", p, true)
}

func TestARunWithoutNodesSaysWhy(t *testing.T) {
	p := show(t, told(record.NotAllDone, errors.New("no node matches \"wep\"")), 800, 600)
	if text := p.Text(`document.body.innerText`); !strings.Contains(text, `no node matches "wep"`) || !strings.Contains(text, "There are no nodes.") {
		t.Errorf("%s", text)
	}
	keep(t, "none", p, true)
}
