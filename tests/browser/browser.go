// Package browser drives a headless Chromium, for tests of pages. It speaks the DevTools
// protocol through a pipe.
package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/tests/lacking"
)

// Page is a page that is shown.
type Page struct {
	t       *testing.T
	b       *process
	session string
}

// process is the one browser, in which all pages of a test binary are shown.
type process struct {
	cmd   *exec.Cmd
	to    *os.File
	said  said
	home  string
	gone  chan struct{} // closed when the browser says nothing any more
	fired chan struct{} // has one for each message, as far as there is room

	mu      sync.Mutex
	last    int
	answers map[int]chan message
	events  []message
}

// message is one of the protocol.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// patience is how long an answer may take on a machine that does much else.
const patience = time.Minute

// shared is the browser, once a page was opened.
var shared struct {
	once sync.Once
	b    *process
	err  error
}

// Main runs the tests of a package, and ends the browser.
func Main(m *testing.M) {
	code := m.Run()
	if shared.b != nil {
		shared.b.end()
	}
	os.Exit(code)
}

// Open shows a file in a window of that size. Without a browser the test is skipped.
func Open(t *testing.T, file string, width, height int) *Page {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		lacking.Skip(t, "needs chromium: ", err)
	}
	shared.once.Do(func() { shared.b, shared.err = start(program) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	p := &Page{t: t, b: shared.b}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("chromium: %s", shared.b.said.String())
		}
	})
	// A context of its own has settings of its own.
	var own struct{ BrowserContextID string }
	p.call("Target.createBrowserContext", map[string]any{"disposeOnDetach": true}, &own)
	var target struct{ TargetID string }
	p.call("Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": own.BrowserContextID}, &target)
	t.Cleanup(func() {
		p.session = ""
		p.call("Target.disposeBrowserContext", map[string]any{"browserContextId": own.BrowserContextID}, nil)
	})
	var attached struct{ SessionID string }
	p.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	p.session = attached.SessionID
	for _, domain := range []string{"Page", "Log", "Runtime", "Network"} {
		p.call(domain+".enable", nil, nil)
	}
	p.call("Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true}, nil)
	p.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
	p.call("Page.navigate", map[string]any{"url": "file://" + file}, nil)
	p.await("Page.loadEventFired")
	return p
}

// said is what the browser prints; it is read while that goes on.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// start runs the browser.
func start(program string) (*process, error) {
	input, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	from, output, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp("", "browser-")
	if err != nil {
		return nil, err
	}
	b := &process{to: to, home: home, answers: map[int]chan message{}, fired: make(chan struct{}, 1), gone: make(chan struct{})}
	b.cmd = exec.Command(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
		"--remote-debugging-pipe", "--user-data-dir="+home)
	b.cmd.ExtraFiles = []*os.File{input, output}
	b.cmd.Stderr = &b.said
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	input.Close()
	output.Close()
	go b.read(from)
	return b, nil
}

// end ends it, and removes what it has written.
func (b *process) end() {
	b.send(message{Method: "Browser.close"})
	ended := make(chan error, 1)
	go func() { ended <- b.cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(patience):
		b.cmd.Process.Kill()
		<-ended
	}
	b.to.Close()
	os.RemoveAll(b.home)
}

// read takes what the browser says.
func (b *process) read(from *os.File) {
	defer close(b.gone)
	defer from.Close()
	lines := bufio.NewReader(from)
	for {
		text, err := lines.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &m) != nil {
			continue
		}
		b.mu.Lock()
		if m.ID != 0 {
			b.answers[m.ID] <- m
			delete(b.answers, m.ID)
		} else {
			b.events = append(b.events, m)
		}
		b.mu.Unlock()
		select {
		case b.fired <- struct{}{}:
		default:
		}
	}
}

// send gives the browser something to do, and returns where its answer comes.
func (b *process) send(m message) chan message {
	b.mu.Lock()
	b.last++
	m.ID = b.last
	answer := make(chan message, 1)
	b.answers[m.ID] = answer
	b.mu.Unlock()
	text, err := json.Marshal(m)
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	if err != nil {
		answer <- message{}
	}
	return answer
}

// call has the browser do something; its answer goes to result, which may be nil.
func (p *Page) call(method string, params map[string]any, result any) {
	p.t.Helper()
	text, err := json.Marshal(params)
	if err != nil {
		p.t.Fatal(err)
	}
	if params == nil {
		text = nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var m message
	select {
	case m = <-p.b.send(message{Method: method, Session: p.session, Params: text}):
	case <-p.b.gone:
		p.t.Fatalf("%s: the browser has ended", method)
	case <-ctx.Done():
		p.t.Fatalf("%s: no answer", method)
	}
	if m.Error != nil {
		err = errors.New(m.Error.Message)
	} else if result != nil {
		err = json.Unmarshal(m.Result, result)
	}
	if err != nil {
		p.t.Fatalf("%s: %v", method, err)
	}
}

// await waits for an event.
func (p *Page) await(method string) {
	p.t.Helper()
	over := time.After(patience)
	for len(p.heard(method)) == 0 {
		select {
		case <-p.b.fired:
		case <-p.b.gone:
			p.t.Fatalf("the browser ended before %s", method)
		case <-over:
			p.t.Fatalf("%s did not come", method)
		}
	}
}

// heard are the parameters of all events of these kinds.
func (p *Page) heard(methods ...string) (list []string) {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	for _, m := range p.b.events {
		for _, method := range methods {
			if m.Method == method && m.Session == p.session {
				list = append(list, string(m.Params))
			}
		}
	}
	return list
}

// Complaints are what the browser has to say against the page: what its policy forbids,
// errors, and programs that run.
func (p *Page) Complaints() []string {
	return p.heard("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
}

// Loaded are the addresses that were asked for.
func (p *Page) Loaded() (list []string) {
	for _, text := range p.heard("Network.requestWillBeSent") {
		var params struct{ Request struct{ URL string } }
		if json.Unmarshal([]byte(text), &params) == nil {
			list = append(list, params.Request.URL)
		}
	}
	return list
}

// Ask evaluates an expression of JavaScript, from outside of the page, and puts its value
// into result.
func (p *Page) Ask(expression string, result any) {
	p.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	p.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &answer)
	if answer.ExceptionDetails != nil {
		p.t.Fatalf("%s: %s", expression, answer.ExceptionDetails)
	}
	if result != nil {
		if err := json.Unmarshal(answer.Result.Value, result); err != nil {
			p.t.Fatalf("%s: %v in %s", expression, err, answer.Result.Value)
		}
	}
}

// Text is the text that the expression yields.
func (p *Page) Text(expression string) (text string) {
	p.t.Helper()
	p.Ask(expression, &text)
	return text
}

// Prefer has the page shown on a medium (screen, print) in a color scheme (light, dark).
func (p *Page) Prefer(medium, scheme string) {
	p.t.Helper()
	p.call("Emulation.setEmulatedMedia", map[string]any{"media": medium, "features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	p.drawn()
}

// drawn waits until what was changed is on the screen.
func (p *Page) drawn() {
	p.t.Helper()
	p.call("Runtime.evaluate", map[string]any{"expression": "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))", "awaitPromise": true}, nil)
}

// Width has the window be so wide.
func (p *Page) Width(width, height int) {
	p.t.Helper()
	p.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
	p.drawn()
}

// codes are those of keys that have no character.
var codes = map[string]int{"Tab": 9, "Enter": 13}

// Press types a key.
func (p *Page) Press(key string) {
	p.t.Helper()
	down := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
	if key == "Enter" {
		down["text"] = "\r"
	}
	p.call("Input.dispatchKeyEvent", down, nil)
	p.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}, nil)
}

// Shot is a picture, as PNG: of the window, or of all of the page.
func (p *Page) Shot(all bool) []byte {
	p.t.Helper()
	var shot struct{ Data []byte }
	p.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": all}, &shot)
	return shot.Data
}

// PDF is the page as it is printed.
func (p *Page) PDF() []byte {
	p.t.Helper()
	var pdf struct{ Data []byte }
	p.call("Page.printToPDF", map[string]any{"printBackground": false}, &pdf)
	if !strings.HasPrefix(string(pdf.Data), "%PDF-") {
		p.t.Fatal("what is printed is no PDF")
	}
	return pdf.Data
}
