package knownhosts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// lockLimit is how long another deployer may hold the lock of a file. Without it
// the line is added all the same, in one write, as ssh does, which has no lock.
var lockLimit = 5 * time.Second

// Learn adds the key of a host to a file that lacks it, and makes the file, which
// then is its owner's alone. What came to be known meanwhile, as from another
// process, is judged first: the verdict is Unknown where a line was added.
func (f *Files) Learn(ctx context.Context, file string, h Host, key ssh.PublicKey, hashed bool) (Verdict, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return Verdict{}, err
	}
	to, err := openLocked(ctx, file)
	if err != nil {
		return Verdict{}, err
	}
	defer to.Close() // and the lock with it
	parts, complete, err := f.parts(file, to)
	if err != nil {
		return Verdict{}, err
	}
	now := Known{parts}
	if v := now.Judge(h, key); v.Kind != Unknown {
		return v, nil
	}
	name := h.String()
	if hashed {
		name = knownhosts.HashHostname(name)
	}
	added := fmt.Sprintf("%s %s\n", name, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))))
	if !complete {
		added = "\n" + added
	}
	_, err = to.WriteString(added)
	return Verdict{}, err
}

// openLocked opens a file and locks it. What another program has put in its place
// meanwhile, as ssh-keygen -R does, is opened anew: a line in the old one would be lost.
func openLocked(ctx context.Context, file string) (*os.File, error) {
	for range replacements {
		f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return nil, err
		}
		lock(ctx, f)
		ours, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		if theirs, err := os.Stat(file); err == nil && os.SameFile(ours, theirs) {
			return f, nil
		}
		f.Close()
	}
	return nil, fmt.Errorf("%s is replaced again and again", file)
}

// replacements is how often a file may be replaced while it is opened.
const replacements = 10

// lock waits for the lock of a file, see lockLimit.
func lock(ctx context.Context, f *os.File) {
	for begin := time.Now(); time.Since(begin) < lockLimit && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return // it is ours, or the file system has none
		}
	}
}
