package remote

import (
	"slices"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/ssh"
)

// algorithms are those to offer to a host; empty lists stand for the library's own.
type algorithms struct{ ciphers, macs, kex, hostKeys []string }

// choose takes what we can do of what ssh_config asks for. Where that is nothing,
// ssh is needed: what nobody asked for must not take its place.
func choose(s settings, log zerolog.Logger) (a algorithms, err error) {
	supported, old := ssh.SupportedAlgorithms(), ssh.InsecureAlgorithms() // which somebody has asked for
	for _, kind := range []struct {
		option      string
		wanted, can []string
		chosen      *[]string
	}{
		{"ciphers", s.Ciphers, append(supported.Ciphers, old.Ciphers...), &a.ciphers},
		{"macs", s.MACs, append(supported.MACs, old.MACs...), &a.macs},
		{"kexalgorithms", s.KeyExchanges, append(supported.KeyExchanges, old.KeyExchanges...), &a.kex},
		{"hostkeyalgorithms", s.HostKeyAlgorithms, append(supported.HostKeys, old.HostKeys...), &a.hostKeys},
	} {
		var lacking []string
		for _, name := range kind.wanted {
			if slices.Contains(kind.can, name) {
				*kind.chosen = append(*kind.chosen, name)
			} else {
				lacking = append(lacking, name)
			}
		}
		if len(kind.wanted) > 0 && *kind.chosen == nil {
			return a, &needsOpenSSH{why: kind.option}
		}
		if len(lacking) > 0 {
			log.Debug().Strs(kind.option, lacking).Msg("left out, as they are not supported")
		}
	}
	return a, nil
}
