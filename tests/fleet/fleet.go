// Package fleet boots real hosts for tests: systemd as PID 1 in systemd-nspawn
// over one shared root file system, OpenSSH, Nix, and a network namespace each.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const gateway = "10.213.0.1"

// Fleet is a number of running hosts.
type Fleet struct {
	Hosts []*Host
	// Dir holds what the fleet needs; it is in memory and ends with it.
	Dir string
	// SSHConfig names every host, with the key that opens it.
	SSHConfig string
	// KnownHosts is the file in which clients record host keys.
	KnownHosts string
}

var (
	running   *Fleet
	runningMu sync.Mutex
)

// Require returns the test process's fleet with at least n hosts, booting what
// is missing. Without a fleet it skips the test, or fails it when
// COLMENA_GO_FLEET is "require".
func Require(tb testing.TB, n int) *Fleet {
	tb.Helper()
	needed(tb)
	f, err := Boot(context.Background(), n)
	if err != nil {
		tb.Fatal("the fleet cannot boot: ", err)
	}
	for _, h := range f.Hosts[:n] {
		if err := h.Start(); err != nil {
			tb.Fatal(err)
		}
		h.Reconnect()
	}
	return f
}

// needed skips or fails a test where no host can be.
func needed(tb testing.TB) {
	tb.Helper()
	switch {
	case os.Getenv(modeEnv) == "skip":
		tb.Skip("COLMENA_GO_FLEET=skip: no hosts are booted")
	case os.Getuid() != 0 && os.Getenv(modeEnv) == "require":
		tb.Fatal("booting hosts needs root")
	case os.Getuid() != 0:
		tb.Skip("booting hosts needs root")
	}
}

// Root returns the root file system that all hosts share, for tests that run
// programs in it without a host; nothing is to be written there. It skips or fails
// the test as [Require] does.
func Root(tb testing.TB) string {
	tb.Helper()
	needed(tb)
	dir, err := rootfs(tb.Context())
	if err != nil {
		tb.Fatal("the hosts' root file system: ", err)
	}
	return dir
}

// Boot gives the process's fleet at least n hosts, which answer ssh when it
// returns. The process must have come through [Main] or [Enter].
func Boot(ctx context.Context, n int) (*Fleet, error) {
	runningMu.Lock()
	defer runningMu.Unlock()
	if running == nil {
		f, err := prepare(ctx)
		if err != nil {
			return nil, err
		}
		running = f
	}
	f := running
	begin := len(f.Hosts)
	for len(f.Hosts) < n {
		h, err := f.add(len(f.Hosts) + 1)
		if err != nil {
			return nil, err
		}
		f.Hosts = append(f.Hosts, h)
	}
	if err := f.writeSSHConfig(); err != nil {
		return nil, err
	}
	errs := make([]error, len(f.Hosts))
	var all sync.WaitGroup
	for i, h := range f.Hosts[begin:] {
		all.Go(func() { errs[i] = h.Start() })
	}
	all.Wait()
	return f, errors.Join(errs...)
}

// prepare makes what all hosts share.
func prepare(ctx context.Context) (*Fleet, error) {
	if err := Install(ctx); err != nil {
		return nil, err
	}
	base, err := rootfs(ctx)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(os.TempDir(), "colmena-go-fleet")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f := &Fleet{Dir: dir, SSHConfig: dir + "/ssh_config", KnownHosts: dir + "/known_hosts"}
	// In memory, in our own mount namespace: it ends with us, whatever happens.
	err = sh(fmt.Sprintf(`mount -t tmpfs -o mode=0755,size=80%% fleet %[1]s
mkdir %[1]s/base
mount --bind -o ro '%[2]s' %[1]s/base
ssh-keygen -q -t ed25519 -N '' -C fleet -f %[1]s/id_ed25519`, dir, base))
	return f, err
}

// add makes a host, which is not started yet.
func (f *Fleet) add(number int) (*Host, error) {
	h := &Host{
		Name: fmt.Sprintf("host%d", number),
		IP:   fmt.Sprintf("10.213.0.%d", number+9),
		dir:  filepath.Join(f.Dir, fmt.Sprintf("host%d", number)),
	}
	script := fmt.Sprintf(`mkdir -p %[1]s/upper/etc/ssh %[1]s/work %[1]s/root
mount -t overlay -o lowerdir=%[2]s/base,upperdir=%[1]s/upper,workdir=%[1]s/work host %[1]s/root
cd %[1]s/root
echo %[3]s >etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %[3]s\n' >etc/hosts
rm -f etc/machine-id; : >etc/machine-id
ssh-keygen -q -t ed25519 -N '' -f etc/ssh/ssh_host_ed25519_key
for user in root:0:0 home/alice:1000:1000 home/deployer:1001:1001 home/fishy:1002:1002; do
  home=${user%%%%:*:*} owner=${user#*:}
  mkdir -p -m 0700 $home/.ssh
  cp %[2]s/id_ed25519.pub $home/.ssh/authorized_keys
  chown -R $owner $home/.ssh
done
ip netns add %[3]s
ip link add v%[3]s type veth peer name eth0 netns %[3]s
ip link set v%[3]s master fleet0 up
ip -n %[3]s addr add %[4]s/24 dev eth0
ip -n %[3]s link set lo up
ip -n %[3]s link set eth0 up
ip -n %[3]s route add default via %[5]s`, h.dir, f.Dir, h.Name, h.IP, gateway)
	return h, sh(script)
}

func (f *Fleet) writeSSHConfig() error {
	var b strings.Builder
	for _, h := range f.Hosts {
		fmt.Fprintf(&b, "Host %s\n  HostName %s\n\n", h.Name, h.IP)
	}
	fmt.Fprintf(&b, "Host *\n  IdentityFile %s/id_ed25519\n  IdentityAgent none\n  UserKnownHostsFile %s\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking accept-new\n  LogLevel ERROR\n",
		f.Dir, f.KnownHosts)
	return os.WriteFile(f.SSHConfig, []byte(b.String()), 0o600)
}

// Down ends every host.
func (f *Fleet) Down() {
	var all sync.WaitGroup
	for _, h := range f.Hosts {
		all.Go(func() { h.Kill() })
	}
	all.Wait()
}

func shutdown() {
	runningMu.Lock()
	defer runningMu.Unlock()
	if running != nil {
		running.Down()
		running = nil
	}
}

// until polls for a condition; what names it in the error.
func until(limit time.Duration, what string, done func() bool) error {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if done() {
			return nil
		}
	}
	return fmt.Errorf("%s: not after %v", what, limit)
}
