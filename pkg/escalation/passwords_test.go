package escalation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// person answers by what is asked; a question without an answer is declined.
type person struct {
	mu      sync.Mutex
	answers map[string][]string // by beginnings of questions: who, a bar, text
	asked   []string
	absent  bool
}

func (p *person) Can(ask.Kind) error {
	if p.absent {
		return ask.ErrNobody
	}
	return nil
}

func (p *person) Ask(_ context.Context, q ask.Question) (secret.Secret, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	question := q.Who + " | " + q.Text
	p.asked = append(p.asked, question)
	for begin, answers := range p.answers {
		if strings.HasPrefix(question, begin) && len(answers) > 0 {
			p.answers[begin] = answers[1:]
			return secret.New([]byte(answers[0])), nil
		}
	}
	return secret.Secret{}, ask.ErrNoAnswer
}

// fleet are hosts that take one password each, and remember what they were told.
type fleet struct {
	mu    sync.Mutex
	takes map[string]string
	told  map[string][]string
}

func (f *fleet) find(t *testing.T, p *Passwords, node string) error {
	t.Helper()
	got, err := p.Find(t.Context(), Host{Node: node, Login: "ops@" + node, Program: "sudo"}, func(_ context.Context, password secret.Secret) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.told == nil {
			f.told = map[string][]string{}
		}
		text := string(password.Reveal())
		f.told[node] = append(f.told[node], text)
		if f.takes[node] != text {
			return ErrRefused
		}
		return nil
	})
	if err == nil && string(got.Reveal()) != f.takes[node] {
		t.Errorf("%s: another password", node)
	}
	return err
}

func TestOnePasswordIsForAllHostsThatTakeIt(t *testing.T) {
	who := &person{answers: map[string][]string{"first | sudo password for ops@first (also tried": {"a"}}}
	f, p := &fleet{takes: map[string]string{"first": "a"}}, NewPasswords(who)
	if err := f.find(t, p, "first"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 50 {
		f.takes[fmt.Sprint(i)] = "a"
	}
	for i := range 50 {
		node := fmt.Sprint(i)
		all.Go(func() {
			if err := f.find(t, p, node); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(who.asked) != 1 {
		t.Errorf("asked %q", who.asked)
	}
}

// Nobody else waits for its answer, and nobody else gets it.
func TestAPasswordForOneHostIsForThatAlone(t *testing.T) {
	who := &person{answers: map[string][]string{
		"a | sudo password": {"1"}, "b | this host refused the shared password; sudo password for ops@b only": {"3"}, "b | it was refused": {"2"},
	}}
	f, p := &fleet{takes: map[string]string{"a": "1", "b": "2", "c": "1", "d": "2"}}, NewPasswords(who)
	for _, node := range []string{"a", "b", "c", "b"} { // b once more, as after a reboot
		if err := f.find(t, p, node); err != nil {
			t.Fatal(node, err)
		}
	}
	if err := f.find(t, p, "d"); !errors.Is(err, ask.ErrNoAnswer) || !slices.Equal(f.told["d"], []string{"1"}) {
		t.Errorf("%v, told %q", err, f.told["d"])
	}
	if want := []string{"1", "3", "2", "2"}; !slices.Equal(f.told["b"], want) || len(who.asked) != 4 {
		t.Errorf("b was told %q; asked: %q", f.told["b"], who.asked)
	}
}

func TestWhoGetsASharedPasswordUnaskedIsNamedOnce(t *testing.T) {
	who := &person{answers: map[string][]string{"a | sudo": {"1"}}}
	p := NewPasswords(who)
	var notes []string
	find := func(node string) {
		t.Helper()
		h := Host{Node: node, Program: "sudo", Note: func(text string) { notes = append(notes, node+": "+text) }}
		if _, err := p.Find(t.Context(), h, func(context.Context, secret.Secret) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range []string{"a", "b", "b"} {
		find(node)
	}
	if want := []string{"b: sudo asks for a password: giving it the shared one"}; !slices.Equal(notes, want) {
		t.Errorf("%q", notes)
	}
	// Whose password was given beforehand was not asked about any host.
	p, notes = NewPasswords(nil), nil
	p.Give(secret.New([]byte("1")))
	find("a")
	if len(notes) != 1 {
		t.Errorf("%q", notes)
	}
}

func TestNoOtherHostsAreSpokenOfWhereThereAreNone(t *testing.T) {
	who := &person{answers: map[string][]string{"a | sudo": {"1"}}}
	f, p := &fleet{takes: map[string]string{"a": "1"}}, NewPasswords(who)
	p.For(1)
	if err := f.find(t, p, "a"); err != nil || !slices.Equal(who.asked, []string{"a | sudo password for ops@a"}) {
		t.Errorf("%v, asked %q", err, who.asked)
	}
}

func TestAMistypedPasswordIsTriedOnOneHost(t *testing.T) {
	who := &person{answers: map[string][]string{"a | sudo password": {"mistyped"}, "a | it was refused; sudo password for ops@a (also tried": {"1"}}}
	f, p := &fleet{takes: map[string]string{"a": "1", "b": "1"}}, NewPasswords(who)
	for _, node := range []string{"a", "b"} {
		if err := f.find(t, p, node); err != nil {
			t.Fatal(node, err)
		}
	}
	if !slices.Equal(f.told["a"], []string{"mistyped", "1"}) || !slices.Equal(f.told["b"], []string{"1"}) {
		t.Errorf("told %q", f.told)
	}
}

func TestWhoDoesNotAnswerIsAskedNoMore(t *testing.T) {
	who := &person{}
	f, p := &fleet{}, NewPasswords(who)
	for _, node := range []string{"a", "b", "c"} {
		if err := f.find(t, p, node); !errors.Is(err, ask.ErrNoAnswer) {
			t.Error(err)
		}
	}
	if len(who.asked) != 1 || f.told != nil {
		t.Errorf("asked %q, told %q", who.asked, f.told)
	}
}

func TestAHostIsToldThreeWrongPasswordsAtMost(t *testing.T) {
	who := &person{answers: map[string][]string{"": {"1", "2", "3", "4", "5"}}}
	f, p := &fleet{takes: map[string]string{"a": "x"}}, NewPasswords(who)
	if err := f.find(t, p, "a"); !errors.Is(err, ErrRefused) || len(f.told["a"]) != 3 {
		t.Errorf("%v, told %q", err, f.told)
	}
}

// Who looks for a host again and again, as after a reboot, locks no account.
func TestWhatAHostRefusesIsNotTriedOverAnotherConnection(t *testing.T) {
	for name, c := range map[string]struct {
		who   *person
		given string
		told  int
		asked int
	}{
		"wrong ones are typed":   {&person{answers: map[string][]string{"": {"1", "2", "3", "4", "5"}}}, "", 3, 3},
		"nothing more is typed":  {&person{answers: map[string][]string{"": {"1"}}}, "", 1, 2},
		"nobody can type":        {&person{absent: true}, "mistyped", 1, 0},
		"other hosts have taken": {&person{answers: map[string][]string{"first": {"1"}, "a": {"2", "3", "4"}}}, "", 3, 3},
	} {
		f, p := &fleet{takes: map[string]string{"a": "x", "first": "1"}}, NewPasswords(c.who)
		if c.given != "" {
			p.Give(secret.New([]byte(c.given)))
		}
		if strings.HasPrefix(name, "other") && f.find(t, p, "first") != nil {
			t.Fatal(name)
		}
		for range 10 {
			if err := f.find(t, p, "a"); !errors.Is(err, ErrRefused) && !errors.Is(err, ask.ErrNoAnswer) {
				t.Error(name, err)
			}
		}
		if len(f.told["a"]) != c.told || len(c.who.asked) != c.asked {
			t.Errorf("%s: told %q, asked %q", name, f.told["a"], c.who.asked)
		}
	}
}

// A password may count as wrong on a host that never says so.
func TestAHostThatAnswersNothingClearIsToldThreeTimes(t *testing.T) {
	p, told := NewPasswords(nil), 0
	p.Give(secret.New([]byte("1")))
	var err error
	for range 10 {
		_, err = p.Find(t.Context(), Host{Node: "a"}, func(context.Context, secret.Secret) error {
			told++
			return errors.New("no answer in time")
		})
	}
	if told != tries || !errors.Is(err, ErrRefused) {
		t.Errorf("told %d times: %v", told, err)
	}
}

// Its password may have been changed by what was deployed.
func TestAPasswordOfItsOwnThatIsRefusedLaterIsAskedForAgain(t *testing.T) {
	who := &person{answers: map[string][]string{"a | sudo": {"1"}, "b | this host refused": {"2"}, "b | it is refused now; sudo password for ops@b only": {"3"}}}
	f, p := &fleet{takes: map[string]string{"a": "1", "b": "2"}}, NewPasswords(who)
	for _, takes := range []string{"2", "3", "3"} {
		f.takes["b"] = takes
		for _, node := range []string{"a", "b"} {
			if err := f.find(t, p, node); err != nil {
				t.Fatal(node, err)
			}
		}
	}
	if want := []string{"1", "2", "2", "3", "3"}; !slices.Equal(f.told["b"], want) {
		t.Errorf("told %q", f.told["b"])
	}
}

// As in CI: the first host may be the odd one.
func TestAGivenPasswordThatTwoRefuseIsTriedNoMore(t *testing.T) {
	f, p := &fleet{takes: map[string]string{"odd": "x", "a": "1", "b": "1", "odd too": "y"}}, NewPasswords(&person{absent: true})
	p.Give(secret.New([]byte("1")))
	for _, node := range []string{"odd", "a", "b", "odd too"} {
		refused := strings.HasPrefix(node, "odd")
		if err := f.find(t, p, node); errors.Is(err, ErrRefused) != refused {
			t.Error(node, err)
		}
	}
	f, p = &fleet{}, NewPasswords(nil)
	p.Give(secret.New([]byte("mistyped")))
	for _, node := range []string{"a", "b", "c", "d"} {
		if err := f.find(t, p, node); !errors.Is(err, ErrRefused) {
			t.Error(node, err)
		}
	}
	if len(f.told) != 2 {
		t.Errorf("told %q", f.told)
	}
}

func TestPasswordsAreWiped(t *testing.T) {
	p := NewPasswords(nil)
	text := []byte("open sesame")
	p.Give(secret.New(text))
	p.Wipe()
	if strings.Trim(string(text), "\x00") != "" {
		t.Error("the password is still there")
	}
}

// The one whose turn it is may be waiting for a person.
func TestWhoWaitsForTheFirstPasswordMayLeave(t *testing.T) {
	p := NewPasswords(&person{})
	p.turn <- struct{}{}
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := p.Find(ctx, Host{}, nil); !errors.Is(err, why) {
		t.Error(err)
	}
}
