package keywatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// machine is a host that boots and falls silent as a test wants it.
type machine struct {
	mu     sync.Mutex
	boot   int
	system string // what it says it has booted
	down   error  // why it cannot be reached; nil: it can
	lines  map[*line]bool
	opened int
	keys   int // the boot that has them
	brings int
	refuse error // of Bring
	told   []string
}

// line is a connection to it.
type line struct {
	*machine
	ended chan struct{}
	once  sync.Once
}

func (l *line) Ended() <-chan struct{} { return l.ended }
func (l *line) Close() error {
	l.once.Do(func() { close(l.ended) })
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.lines, l)
	return nil
}

var errLost = errors.New("the connection was lost")

// Run answers which boot it is.
func (l *line) Run(_ context.Context, command string, _ io.Reader, stdout, _ io.Writer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.lines[l] {
		return errLost
	}
	rest := command[strings.Index(command, "echo ")+len("echo "):]
	io.WriteString(stdout, strings.Replace(rest[:strings.Index(rest, ";")], `""`, "", 1)+"\n")
	fmt.Fprintf(stdout, "boot-%d\n%s\n.\n", l.boot, l.system)
	return nil
}

const system = "/nix/store/00000000000000000000000000000000-nixos"

// watch watches a machine until the test's function returns.
func watch(t *testing.T, m *machine, do func()) {
	synctest.Test(t, func(t *testing.T) { // fails where a goroutine is left
		m.lines, m.boot, m.system = map[*line]bool{}, 1, system
		w := &Watcher{
			Open: func(context.Context, hive.Node) (Host, error) {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.opened++
				if m.down != nil {
					return nil, m.down
				}
				l := &line{machine: m, ended: make(chan struct{})}
				m.lines[l] = true
				return l, nil
			},
			Vain:    func(err error) bool { return errors.Is(err, errVain) },
			Refused: func(err error) bool { return errors.Is(err, errStranger) },
			Bring: func(ctx context.Context, _ hive.Node, l *Line) error {
				if _, err := l.Lend(ctx); err != nil {
					return err
				}
				m.mu.Lock()
				defer m.mu.Unlock()
				m.brings++
				if m.refuse == nil {
					m.keys = m.boot
				}
				return m.refuse
			},
			Tell: func(_ string, news News) {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.told = append(m.told, news.String())
			},
		}
		ctx, end := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { w.Watch(ctx, hive.Node{Name: "a"}) })
		synctest.Wait()
		do()
		begin := time.Now()
		end()
		all.Wait()
		if time.Since(begin) > 0 {
			t.Error("it does not end at once")
		}
		if len(m.lines) > 0 {
			t.Errorf("%d connections are left", len(m.lines))
		}
	})
}

var (
	errVain     = errors.New("the password is refused")
	errStranger = errors.New("another host key")
	errNoRoute  = errors.New("no route to the host")
)

// set changes the machine; every connection is lost.
func (m *machine) set(change func()) {
	m.mu.Lock()
	change()
	var lost []*line
	for l := range m.lines {
		lost = append(lost, l)
	}
	m.mu.Unlock()
	for _, l := range lost {
		l.Close()
	}
}

func (m *machine) wants(t *testing.T, what string, brings int, keys bool) {
	t.Helper()
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.brings != brings || (m.keys == m.boot) != keys {
		t.Errorf("%s: %d uploads, want %d; keys of boot %d in boot %d\n%s", what, m.brings, brings, m.keys, m.boot, strings.Join(m.told, "\n"))
	}
}

func (m *machine) said(t *testing.T, want ...string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if strings.Join(m.told, "\n") != strings.Join(want, "\n") {
		t.Errorf("it said:\n%s\nwant:\n%s", strings.Join(m.told, "\n"), strings.Join(want, "\n"))
	}
	m.told = nil
}

func TestKeysAreBroughtAtOnceAndAfterEachBoot(t *testing.T) {
	m := &machine{}
	watch(t, m, func() {
		m.wants(t, "at first", 1, true)
		passes(100 * time.Hour)
		m.wants(t, "while nothing happens", 1, true)
		m.set(func() {})
		passes(time.Minute)
		m.wants(t, "after a lost connection", 1, true)
		m.set(func() { m.boot++ })
		passes(time.Minute)
		m.wants(t, "after a reboot", 2, true)
		if m.opened != 3 {
			t.Errorf("%d connections", m.opened)
		}
	})
	for _, want := range []string{", not rebooted", "rebooted, back after "} {
		if !strings.Contains(strings.Join(m.told, "\n"), want) {
			t.Errorf("nobody says %q: %q", want, m.told)
		}
	}
}

func TestAHostThatIsAwayIsWaitedFor(t *testing.T) {
	m := &machine{down: errNoRoute}
	watch(t, m, func() {
		passes(time.Hour)
		m.wants(t, "while it is away", 0, false)
		if m.opened < 80 || m.opened > 160 {
			t.Errorf("%d attempts in an hour", m.opened)
		}
		// It is told now and then.
		if n := len(m.told); n != 4 || !strings.HasPrefix(m.told[0], "looking for the host: no route") || !strings.HasPrefix(m.told[3], "for 4") {
			t.Errorf("%q", m.told)
		}
		m.told = nil
		m.set(func() { m.down = nil })
		passes(2 * time.Minute)
		m.wants(t, "when it is there", 1, true)
		if len(m.told) != 1 || !strings.HasPrefix(m.told[0], "the host is there after 1h") {
			t.Errorf("%q", m.told)
		}
	})
}

func TestWhatAnswersAndIsNotTheHostIsToldAndGetsNothing(t *testing.T) {
	m := &machine{}
	watch(t, m, func() {
		m.told = nil
		m.set(func() { m.boot++; m.down = errNoRoute })
		passes(30 * time.Second)
		m.set(func() { m.down = errStranger })
		passes(5 * time.Minute)
		m.wants(t, "while another one answers", 1, false)
		if n := len(m.told); n != 2 || !strings.Contains(m.told[1], "not trusted to be it: another host key") {
			t.Errorf("%q", m.told)
		}
		m.set(func() { m.down, m.system = nil, "-" })
		passes(5 * time.Minute)
		m.wants(t, "in an initrd", 1, false)
		m.set(func() { m.system = system })
		passes(2 * time.Minute)
		m.wants(t, "in its system", 2, true)
	})
}

// To the kernel both are one boot.
func TestASystemGetsTheKeysThatItsInitrdGot(t *testing.T) {
	m := &machine{down: errNoRoute}
	watch(t, m, func() {
		m.set(func() { m.down, m.system = nil, "-" })
		passes(time.Minute)
		m.set(func() { m.system, m.keys = system, 0 })
		passes(time.Minute)
		m.wants(t, "in its system", 2, true)
	})
}

func TestKeysThatCannotBeBroughtAreTriedAgainMoreAndMoreSeldom(t *testing.T) {
	m := &machine{refuse: errors.New("the vault is sealed")}
	watch(t, m, func() {
		passes(2 * time.Hour)
		m.wants(t, "while that fails", m.brings, false)
		if m.brings < 20 || m.brings > 60 || m.opened != 1 || len(m.told) != m.brings {
			t.Errorf("%d uploads, %d connections, %d lines", m.brings, m.opened, len(m.told))
		}
		m.mu.Lock()
		m.refuse = nil
		m.mu.Unlock()
		passes(10 * time.Minute)
		m.wants(t, "when it goes well", m.brings, true)
		m.told = nil
		// Who waits notices a reboot.
		m.set(func() { m.boot++; m.refuse = errors.New("sealed again") })
		passes(5 * time.Second)
		m.set(func() { m.boot++; m.refuse = nil })
		passes(time.Minute)
		m.wants(t, "after two reboots", m.brings, true)
	})
}

func TestWhatIsInVainIsGivenUp(t *testing.T) {
	m := &machine{down: errVain}
	watch(t, m, func() {
		passes(time.Hour)
		if m.opened != 1 {
			t.Errorf("%d attempts", m.opened)
		}
		m.said(t, "given up, as another attempt would fail alike: the password is refused")
	})
}

// Hundreds of times, for days.
func TestAFlappingHostLeavesNothingBehind(t *testing.T) {
	m := &machine{}
	watch(t, m, func() {
		random := rand.New(rand.NewPCG(1, 2))
		boots := 1
		for range 1000 {
			switch random.IntN(4) {
			case 0:
				m.set(func() { m.down = errNoRoute })
			case 1:
				m.set(func() { m.down = nil; m.boot++ })
				boots++
			case 2:
				m.set(func() { m.down = nil })
			case 3:
				m.set(func() { m.down = nil; m.refuse = errors.New("no") })
				passes(time.Duration(random.IntN(60)) * time.Second)
				m.set(func() { m.refuse = nil })
			}
			passes(time.Duration(random.IntN(600)) * time.Second)
			m.mu.Lock()
			if len(m.lines) > 1 {
				t.Errorf("%d connections", len(m.lines))
			}
			m.mu.Unlock()
		}
		m.set(func() { m.down, m.refuse = nil, nil })
		passes(10 * time.Minute)
		m.wants(t, "in the end", m.brings, true)
		if m.opened > 30_000 || m.brings < boots/2 {
			t.Errorf("%d attempts, %d uploads of %d boots", m.opened, m.brings, boots)
		}
	})
}

// passes has time go by, and all that happens in it come to rest.
func passes(long time.Duration) {
	time.Sleep(long)
	synctest.Wait()
}
