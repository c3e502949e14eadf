package remote

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/colmena-go/colmena-go/pkg/child"
)

// commandName is the place of a line that no file has.
const commandName = "KnownHostsCommand"

// commandLimit is how long KnownHostsCommand may take, and maxCommandOutput how
// much it may print.
var commandLimit = 10 * time.Second

const maxCommandOutput = 1 << 20

// askCommand runs KnownHostsCommand, whose output is a known_hosts file. What fails
// is an error, unlike for ssh: an unknown key is accepted, which it may know.
func (h *hostKeys) askCommand(reason string, key ssh.PublicKey) (string, error) {
	defer h.waits(commandName)()
	tokens := map[string]string{"%I": reason, "%H": h.host.String(), "%t": "NONE", "%f": "NONE", "%K": "NONE"}
	if key != nil {
		tokens["%t"], tokens["%f"], tokens["%K"] = key.Type(), ssh.FingerprintSHA256(key), base64.StdEncoding.EncodeToString(key.Marshal())
	}
	argv, err := h.KnownHostsCommand(tokens)
	if err != nil {
		return "", err
	}
	limited, cancel := context.WithTimeout(h.ctx, commandLimit)
	defer cancel()
	cmd := exec.CommandContext(limited, argv[0], argv[1:]...)
	out, stderr := &atMost{left: maxCommandOutput}, &tail{}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, stderr, time.Second
	mark := child.NewMark()
	mark.Put(cmd)
	err = child.Run(cmd, syscall.SIGKILL, nil)
	mark.Kill()
	switch {
	case h.ctx.Err() != nil:
		return "", context.Cause(h.ctx)
	case limited.Err() != nil:
		return "", fmt.Errorf("%w: KnownHostsCommand does not end within %s", ErrHostKey, commandLimit)
	case out.left < 0:
		return "", fmt.Errorf("%w: KnownHostsCommand prints more than %d bytes", ErrHostKey, maxCommandOutput)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return "", fmt.Errorf("%w: KnownHostsCommand: %s%s", ErrHostKey, withoutGo(err), stderr.after(": "))
	}
	return out.text.String(), nil
}

// atMost keeps what is written until it is too much.
type atMost struct {
	text bytes.Buffer
	left int
}

func (w *atMost) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errors.New("too much")
	}
	return w.text.Write(p)
}
