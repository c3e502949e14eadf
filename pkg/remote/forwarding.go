package remote

import (
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
)

// forwarding is what each session of a connection gets from here.
type forwarding struct {
	environment []string // NAME=VALUE
	agent       string   // the socket; "": none
}

// forwarding is that of a host: nothing, unless the commands are the user's own.
func (cfg Config) forwarding(s settings) forwarding {
	if !cfg.Commands {
		return forwarding{}
	}
	return forwarding{s.Environment(os.Environ()), s.ForwardAgent}
}

// ask asks for it, as ssh does, which does not wait to hear whether the host agrees
// (AcceptEnv and AllowAgentForwarding of its sshd_config).
func (f forwarding) ask(session *ssh.Session) error {
	if f.agent != "" {
		if _, err := session.SendRequest("auth-agent-req@openssh.com", false, nil); err != nil {
			return err
		}
	}
	for _, variable := range f.environment {
		name, value, _ := strings.Cut(variable, "=")
		if _, err := session.SendRequest("env", false, ssh.Marshal(struct{ Name, Value string }{name, value})); err != nil {
			return err
		}
	}
	return nil
}
