package sshconfig

import (
	"fmt"
	"strconv"
	"strings"
)

// jump is the query for the last jump host on the way to a host, before which there
// may be others. As with ssh, it has settings of its own: nothing of the host's but
// the file is for it.
func (q Query) jump(proxyJump string) (*Query, error) {
	if proxyJump == "" {
		return nil, nil
	}
	gate := &Query{File: q.configFile()}
	before, last := "", proxyJump
	if comma := strings.LastIndexByte(proxyJump, ','); comma >= 0 {
		before, last = proxyJump[:comma], proxyJump[comma+1:]
		gate.Options = []string{"-J", before}
	}
	wrong := func() (*Query, error) {
		return nil, fmt.Errorf("ssh_config or deployment.sshOptions sets proxyjump to %q, where %q is not of the form [USER@]HOST[:PORT]", proxyJump, last)
	}
	host := last
	if at := strings.LastIndexByte(last, '@'); at >= 0 {
		gate.User, host = last[:at], last[at+1:]
	}
	if inside, found := strings.CutPrefix(host, "["); found {
		gate.Host, host, found = strings.Cut(inside, "]")
		if !found {
			return wrong()
		}
	} else {
		end := strings.IndexByte(host, ':')
		if end < 0 {
			end = len(host)
		}
		gate.Host, host = host[:end], host[end:]
	}
	if port, found := strings.CutPrefix(host, ":"); found {
		var err error
		if gate.Port, err = strconv.Atoi(port); err != nil {
			return wrong()
		}
	} else if host != "" {
		return wrong()
	}
	if gate.Host == "" || strings.HasPrefix(gate.Host, "-") {
		return wrong()
	}
	return gate, nil
}

// configFile is the file that ssh would read, "" for its usual ones.
func (q Query) configFile() string {
	file := q.File
	words, _ := Arguments(q.Options)
	for i, word := range words {
		if word == "-F" { // always followed by its value
			file = words[i+1]
		}
	}
	return file
}
