package fleet

import (
	"bufio"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// suite is the Debian release of the hosts; nix 2.26 and systemd 257 come with it.
const suite = "trixie"

// packages of a host, over debootstrap's minbase.
const packages = "systemd,systemd-sysv,dbus,openssh-server,nix-bin,libdbi-perl,iproute2,procps,sudo,fish,inotify-tools,opendoas,sudo-rs,libpam-systemd,polkitd"

//go:embed rootfs.sh
var furnish string

// rootfs returns the folder that all hosts share, and makes it the first time:
// debootstrap takes about a minute.
func rootfs(ctx context.Context) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(suite + packages + furnish))
	dir := filepath.Join(cache, "rootfs-"+hex.EncodeToString(sum[:6]))
	unlock, err := lock(filepath.Join(cache, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, complete(dir)
	}
	if os.Getenv(withinEnv) != "" {
		return "", errors.New("the hosts have no root file system yet, and in here is no network to make it: run `make setup` first")
	}
	fmt.Fprintf(os.Stderr, "fleet: making the hosts' root file system (Debian %s), once, in about a minute\n", suite)
	temp := dir + ".part"
	if err := os.RemoveAll(temp); err != nil {
		return "", err
	}
	args := []string{"--variant=minbase", "--include=" + packages, suite, temp}
	if mirror := aptMirror(); mirror != "" {
		args = append(args, mirror)
	}
	if err := logged(ctx, filepath.Join(cache, "debootstrap.log"), "debootstrap", args...); err != nil {
		return "", err
	}
	if err := logged(ctx, filepath.Join(cache, "furnish.log"), "chroot", temp, "/bin/sh", "-euc", furnish); err != nil {
		return "", err
	}
	if err := finish(temp); err != nil {
		return "", err
	}
	return dir, os.Rename(temp, dir)
}

// marker is written last, so that a root file system without it is half-made.
const marker = "/etc/colmena-go-fleet"

func finish(dir string) error {
	syscall.Sync()
	return os.WriteFile(dir+marker, nil, 0o644)
}

func complete(dir string) error {
	if _, err := os.Stat(dir + marker); err != nil {
		return fmt.Errorf("the hosts' root file system is not complete: delete %s, so that it is made anew", dir)
	}
	return nil
}

func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, "colmena-go", "fleet")
	return dir, os.MkdirAll(dir, 0o755)
}

// lock waits for a file of its own, so that two test processes make one rootfs.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}

// logged runs a command and, when it fails, ends the error with its last lines.
func logged(ctx context.Context, log, name string, args ...string) error {
	file, err := os.Create(log)
	if err != nil {
		return err
	}
	defer file.Close()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(log)
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		return fmt.Errorf("%s: %w (see %s):\n%s", name, err, log, strings.Join(lines[max(0, len(lines)-8):], "\n"))
	}
	return nil
}

// aptMirror is the mirror this machine's apt uses, "" to leave the choice to
// debootstrap (sources.list(5)).
func aptMirror() string {
	files := append([]string{"/etc/apt/sources.list"}, append(glob("/etc/apt/sources.list.d/*.list"), glob("/etc/apt/sources.list.d/*.sources")...)...)
	for _, path := range files {
		file, err := os.Open(path)
		if err != nil {
			continue
		}
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) < 2 || fields[0] != "deb" && fields[0] != "URIs:" {
				continue
			}
			for _, field := range fields[1:] {
				if strings.HasPrefix(field, "http") && strings.HasSuffix(strings.TrimSuffix(field, "/"), "/debian") {
					return field
				}
			}
		}
	}
	return ""
}

func glob(pattern string) []string {
	list, _ := filepath.Glob(pattern)
	return list
}

// Install adds the Debian packages that this machine lacks. It needs root, and
// does nothing when all is there.
func Install(ctx context.Context) error {
	needs := map[string]string{
		"debootstrap": "debootstrap", "systemd-nspawn": "systemd-container", "ssh": "openssh-client",
		"/usr/sbin/sshd": "openssh-server", "nix": "nix-bin", "ip": "iproute2", "nsenter": "util-linux",
		"softhsm2-util": "softhsm2", "krb5kdc": "krb5-kdc", "kinit": "krb5-user", "kadmin.local": "krb5-admin-server",
		"git": "git", "ps": "procps", "make": "make", "jq": "jq",
		"zsh": "zsh", "fish": "fish", "mandoc": "mandoc", // which complete words and read man pages in tests
	}
	var missing []string
	for program, pkg := range needs {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if os.Getuid() != 0 {
		return fmt.Errorf("these Debian packages are missing: %s; install them, or run this as root", strings.Join(missing, " "))
	}
	fmt.Fprintf(os.Stderr, "fleet: installing %s\n", strings.Join(missing, " "))
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	// nix-bin's set-up needs libdbi-perl on Debian 12, but does not say so.
	script := "export DEBIAN_FRONTEND=noninteractive; apt-get update -q && apt-get install -q -y --no-install-recommends libdbi-perl \"$@\""
	args := append([]string{"-euc", script, "sh"}, missing...)
	return errors.Join(logged(ctx, filepath.Join(cache, "apt.log"), "sh", args...))
}

// Setup does all that a first boot would wait for.
func Setup(ctx context.Context) error {
	if err := Install(ctx); err != nil {
		return err
	}
	if os.Getuid() != 0 {
		return nil
	}
	_, err := rootfs(ctx)
	return err
}
