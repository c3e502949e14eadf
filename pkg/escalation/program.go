// Package escalation makes commands root's: with a program such as sudo before them,
// which either asks for nothing, or is handed a password ahead of the command's own
// input, once it has asked for it.
package escalation

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// Program is a deployment.privilegeEscalationCommand.
type Program struct {
	words []string
	at    int // of the program among them
	kind  kind
	user  string // who becomes root with it; "" where that is not known
}

type kind int

const (
	other kind = iota // nothing is known of it, or it has an opinion of its own about questions
	sudo
	doas
	run0
)

var kinds = map[string]kind{"sudo": sudo, "sudo-rs": sudo, "doas": doas, "run0": run0}

// Of returns the program that the words call.
func Of(words []string) Program {
	p := Program{words: words}
	for i, word := range words {
		if k := kinds[path.Base(word)]; k != other {
			p.at, p.kind = i, k
			break
		}
	}
	if p.kind == sudo && slices.ContainsFunc(words[p.at+1:], decides) {
		p.kind = other
	}
	return p
}

// By is the program for a user, which some ask for.
func (p Program) By(user string) Program {
	p.user = user
	return p
}

// decides reports whether an option says how sudo asks: not at all, from stdin, with
// a program, or in words of its own.
func decides(word string) bool {
	name, _, _ := strings.Cut(word, "=")
	switch {
	case slices.Contains([]string{"--non-interactive", "--stdin", "--askpass", "--prompt"}, name):
		return true
	case !strings.HasPrefix(word, "-") || strings.HasPrefix(word, "--"):
		return false
	}
	for _, letter := range word[1:] {
		if strings.ContainsRune("nSAp", letter) {
			return true
		}
		if strings.ContainsRune("aCcDghRrTtUu", letter) { // the rest is its value
			return false
		}
	}
	return false
}

// Words are what the user has written.
func (p Program) Words() []string { return p.words }

// String is the program for people.
func (p Program) String() string { return strings.Join(p.words, " ") }

// Name is the program's own, without path and options.
func (p Program) Name() string {
	if len(p.words) == 0 {
		return ""
	}
	return path.Base(p.words[p.at])
}

// with puts options behind the program's name.
func (p Program) with(options ...string) []string {
	return slices.Concat(p.words[:p.at+1], options, p.words[p.at+1:])
}

// Silent are the words with which it asks for nothing, if it is known how.
func (p Program) Silent() []string {
	switch p.kind {
	case sudo, doas:
		return p.with("-n")
	case run0:
		return p.with("--no-ask-password")
	}
	return p.words
}

// Probe is Silent in English, see [Program.Wants].
func (p Program) Probe() []string {
	if p.kind == other {
		return p.words
	}
	return append([]string{"env", "LC_ALL=C"}, p.Silent()...)
}

// TakesPassword reports whether [Program.Call] can hand it a password.
func (p Program) TakesPassword() bool { return p.kind != other }

// AsksMore reports whether a program that took a password waits for something else, by
// what it has said: a code, for instance, which is good for one command alone.
func (p Program) AsksMore(said string) bool { return question.MatchString(said) }

// Want is what a program lacks that does not run a command.
type Want int

// What a program may lack.
const (
	Nothing  Want = iota // or nothing that is known of
	Password             // it asks for one
	Terminal             // sudoers(5), requiretty
)

var (
	wantsPassword = regexp.MustCompile(`(?i)password is required|terminal is required|no askpass|auth(entication|orization) (is )?required`)
	wantsTerminal = regexp.MustCompile(`(?i)must have a tty`)
)

var refusal = regexp.MustCompile(`(?i)incorrect (password|authentication) attempt|authentication (failed|failure)`)

// Refuses reads whether a program that ended took a password for a wrong one.
func (p Program) Refuses(said string) bool { return p.TakesPassword() && refusal.MatchString(said) }

// Wants reads what a [Program.Probe] that failed has said.
func (p Program) Wants(said string) Want {
	switch {
	case p.kind == other:
		return Nothing
	case wantsTerminal.MatchString(said):
		return Terminal
	case wantsPassword.MatchString(said):
		return Password
	}
	return Nothing
}
