package remote

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/knownhosts"
)

// Keys of hosts that the ssh program connects to: it records a new one in a file of the
// connection's own, from where it goes where ours go, and which next time has what was
// accepted in this run.

func (m *master) knownHosts() string { return filepath.Join(filepath.Dir(m.socket), "known_hosts") }

// remind writes the file that ssh is to record in.
func (m *master) remind(cfg Config, s settings) error {
	var text string
	if first := cfg.met.of(cfg.target()); first != nil {
		text = metLine(hostOf(s), first)
	}
	for _, file := range slices.Concat(s.UserKnownHosts, s.GlobalKnownHosts) {
		known, _ := knownhosts.Read(file) // what cannot be read says nothing to ssh either
		for _, e := range known.Revoked(hostOf(s)) {
			text += "@revoked " + metLine(hostOf(s), e.Key) // ssh heeds those of this port alone
		}
	}
	return os.WriteFile(m.knownHosts(), []byte(text), 0o600)
}

// userKnownHosts are the values of ssh_config, after the file of the connection.
func (m *master) userKnownHosts(s settings) string {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%")
	files := make([]string, 0, len(s.UserKnownHosts)+1)
	for _, file := range append([]string{m.knownHosts()}, s.UserKnownHosts...) {
		files = append(files, `"`+quoted.Replace(file)+`"`)
	}
	return strings.Join(files, " ")
}

// awaitsCertificate: see unvouched. A file that cannot be read says nothing to ssh either.
func awaitsCertificate(s settings) bool {
	for _, file := range slices.Concat(s.UserKnownHosts, s.GlobalKnownHosts) {
		known, err := knownhosts.Read(file)
		if err == nil && s.Ask && len(known.Authorities(hostOf(s))) > 0 {
			return true
		}
	}
	return false
}

// learn accepts what ssh has recorded.
func (m *master) learn(ctx context.Context, cfg Config, s settings, recorded []byte) error {
	h := &hostKeys{settings: s, ctx: ctx, note: cfg.Note, learnt: cfg.Learnt, host: hostOf(s)}
	var known knownhosts.Known
	known.Add(m.knownHosts(), string(recorded))
	entries := known.Keys(h.host)
	if len(entries) == 0 || cfg.met.of(cfg.target()) != nil {
		return nil
	}
	key := entries[0].Key
	if err := h.record(key); err != nil {
		return err
	}
	return h.sameAsBefore(cfg.met.keep(cfg.target(), key), key)
}

// inOurTerms has what ssh says not name a file that is gone by then.
func (m *master) inOurTerms(said string) (lines []string) {
	for line := range strings.SplitSeq(said, "\n") {
		if !strings.Contains(line, m.knownHosts()) {
			lines = append(lines, line)
		} else if strings.Contains(line, "Offending") {
			lines = append(lines, "it is not the key that the host had before in this run")
		}
	}
	return lines
}
