package remote

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/ssh"
)

// algorithms are those to offer to a host; empty lists stand for the library's own.
type algorithms struct{ ciphers, macs, kex []string }

// choose takes what we can do of what ssh_config asks for. None of it is an
// error: what nobody asked for must not take its place.
func choose(s settings, log zerolog.Logger) (a algorithms, err error) {
	supported := ssh.SupportedAlgorithms()
	for _, kind := range []struct {
		option      string
		wanted, can []string
		chosen      *[]string
	}{
		{"ciphers", s.Ciphers, supported.Ciphers, &a.ciphers},
		{"macs", s.MACs, supported.MACs, &a.macs},
		{"kexalgorithms", s.KeyExchanges, supported.KeyExchanges, &a.kex},
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
			return a, fmt.Errorf("ssh_config sets %s to %s, none of which is supported; supported are %s", kind.option, strings.Join(kind.wanted, ","), strings.Join(kind.can, ","))
		}
		if len(lacking) > 0 {
			log.Debug().Strs(kind.option, lacking).Msg("left out, as they are not supported")
		}
	}
	return a, nil
}
