package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/keywatch"
	"github.com/colmena-go/colmena-go/pkg/remote"
	"github.com/colmena-go/colmena-go/pkg/sshconfig"
)

// configFile is the ssh_config to use in the place of OpenSSH's own files, and who
// asked for it; its zero value stands for those.
type configFile struct{ path, from string }

// sshConfigEnv is Colmena's variable for it, which the flag goes before.
const sshConfigEnv = "SSH_CONFIG_FILE"

func sshConfigFlag() cli.Flag {
	return &cli.StringFlag{Name: "ssh-config", Usage: "take what ssh_config says of hosts from `FILE`, as with ssh -F; otherwise from that of " + sshConfigEnv + ", or from OpenSSH's own"}
}

func sshConfigFile(c *cli.Context) configFile {
	if c.IsSet("ssh-config") {
		return configFile{c.String("ssh-config"), "--ssh-config"}
	}
	return configFile{os.Getenv(sshConfigEnv), sshConfigEnv}
}

// seeOpenSSH tells where ssh_config cannot be read. A file that was asked for
// may lead to other hosts than those that would be taken without it.
func (d *deployment) seeOpenSSH() error {
	file, has := d.sshConfig, sshconfig.Installed()
	switch {
	case file.path == "" && file.from != sshConfigEnv:
		return usage("%s is empty: name a file, or leave the flag out", file.from)
	case !has && file.path != "":
		return fmt.Errorf("%s is set, but there is no ssh in PATH, which reads it: install OpenSSH's client, or unset it", file.from)
	case !has:
		d.tool.Log.Warn().Msg("there is no ssh in PATH: what ssh_config says is not followed; install OpenSSH's client")
	case file.path != "":
		if _, err := os.Stat(file.path); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s names %s, which is not there", file.from, file.path)
		}
	}
	return nil
}

// dialable reports whether connecting makes sense at all; why it does not is told
// of the node (see seeSSHOptions).
func (d *deployment) dialable(t *hive.Target) bool {
	_, err := sshconfig.Arguments(t.SSHOptions)
	return err == nil
}

// seeSSHOptions looks at deployment.sshOptions before anything is done for the node.
func seeSSHOptions(node *hive.Node) error {
	if _, err := sshconfig.Arguments(node.Target.SSHOptions); err != nil {
		return fmt.Errorf("node %q: deployment.sshOptions: %w", node.Name, err)
	}
	return nil
}

// connection says how to reach a node.
func (d *deployment) connection(node string, t *hive.Target) remote.Config {
	log := d.tool.Log.With().Str("node", node).Logger()
	cfg := remote.Config{
		Node: node, Host: t.Host, Port: t.Port, User: t.User, Escalate: t.Escalate, Passwords: d.passwords, Credentials: d.credentials,
		SSHOptions: t.SSHOptions, SSHConfigFile: d.sshConfig.path,
		Note: func(text string) { log.Info().Msg(text) }, Log: log,
	}
	if d.report != nil && d.report.Live() {
		cfg.Learnt = func(fingerprint, file string) {
			log.Debug().Msgf("new host: its key %s is now in %s", fingerprint, file)
			d.newHosts.learnt(node, fingerprint, file)
		}
	}
	return cfg
}

// newHost tells of a host, or with no name of several, whose keys were recorded.
func (d *deployment) newHost(node, text string) {
	told := d.tool.Log.Info()
	if node != "" {
		told = told.Str("node", node)
	}
	told.Msg(text)
}

// openHost connects to a node's host; what there is to note is told as the node's.
func (d *deployment) openHost(ctx context.Context, node string, cfg remote.Config, note func(string)) (deploy.Host, error) {
	cfg.Note = note
	host, err := d.hosts.Open(ctx, node, cfg)
	if err != nil {
		return nil, err // not a *remote.Host that is nil
	}
	return host, nil
}

// waitsFor is what the connection to a node's host waits for beside the host.
func (d *deployment) waitsFor(node hive.Node) string { return d.hosts.WaitsFor(node.Name) }

// openAgain connects to a node's host. What there is to note, such as a host key that is
// recorded, is told once that went well: a host that is down is tried very often.
func (d *deployment) openAgain(ctx context.Context, node hive.Node) (keywatch.Host, error) {
	var mu sync.Mutex
	var notes []string
	cfg := d.connection(node.Name, node.Target)
	tell := cfg.Note
	cfg.Note = func(text string) {
		mu.Lock()
		defer mu.Unlock()
		notes = append(notes, text)
	}
	host, err := d.hosts.Open(ctx, node.Name, cfg)
	if err != nil {
		return nil, err // not a *remote.Host that is nil
	}
	mu.Lock()
	defer mu.Unlock()
	for _, text := range notes {
		tell(text)
	}
	return host, nil
}
