package hosts_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// binaryCache is a folder that Nix writes a cache to, served over HTTP to the hosts.
type binaryCache struct {
	dir, url, public string

	mu   sync.Mutex
	sent map[string]int64 // bytes, by host's address
}

// counting counts what a host gets.
type counting struct {
	http.ResponseWriter
	add func(int)
}

func (w counting) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.add(n)
	return n, err
}

func (d *deployer) binaryCache() *binaryCache {
	d.t.Helper()
	c := &binaryCache{dir: d.t.TempDir(), sent: map[string]int64{}}
	listener, err := net.Listen("tcp", "10.213.0.1:0") // the hosts' gateway
	if err != nil {
		d.t.Fatal(err)
	}
	c.url = "http://" + listener.Addr().String()
	files := http.FileServer(http.Dir(c.dir))
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "hushhush" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		from, _, _ := net.SplitHostPort(r.RemoteAddr)
		files.ServeHTTP(counting{w, func(n int) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.sent[from] += int64(n)
		}}, r)
	})}
	go server.Serve(listener)
	d.t.Cleanup(func() { server.Close() })
	cmd := exec.Command("sh", "-ec", `nix key generate-secret --key-name cache-test-1 >secret; nix key convert-secret-to-public <secret`)
	cmd.Dir, cmd.Env = d.dir, d.env
	out, err := cmd.Output()
	if err != nil {
		d.t.Fatal(err)
	}
	c.public = string(out)
	return c
}

// got is how many bytes a host had.
func (c *binaryCache) got(ip string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent[ip]
}

// put is the address that Nix writes to.
func (c *binaryCache) put(d *deployer) string {
	return "file://" + c.dir + "?compression=none&secret-key=" + d.dir + "/secret"
}

// trust has a host trust the cache's key, until the test ends.
func (d *deployer) trust(host string, c *binaryCache) {
	d.t.Helper()
	d.on(host, "cp /etc/nix/nix.conf /root/nix.conf; echo 'extra-trusted-public-keys = "+c.public+"' >>/etc/nix/nix.conf")
	d.t.Cleanup(func() { d.on(host, "cat /root/nix.conf >/etc/nix/nix.conf") })
}

const large = 50_000_000

// sharing is a hive whose nodes have one new path of 50 MB.
const sharing = `let big = derivation {
  name = "big"; now = toString builtins.currentTime; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/usr/bin:/bin";
  args = [ "-c" "head -c 50000000 /dev/urandom >$out" ]; };
in {
  defaults = { lib, ... }: {
    boot.loader.grub.enable = false; fileSystems."/".device = "/dev/vda1"; system.stateVersion = "26.05";
    environment.etc.big.source = big;
  };
  META
  host1 = { }; host2 = { }; host3 = { };
}`

// copiedTo matches a path that goes to a host and not, in its name, to the cache.
func copiedTo(host string) *regexp.Regexp {
	return regexp.MustCompile(host + ` \| copying path /nix/store/`)
}

func TestALargePathGoesOnceThroughACache(t *testing.T) {
	d := deploying(t, 3)
	c := d.binaryCache()
	from := strings.Replace(c.url, "://", "://me:hushhush@", 1)
	d.trust("host1", c)
	d.trust("host2", c)
	d.write("hive.nix", strings.Replace(sharing, "META", `meta.binaryCache = "`+c.put(d)+`"; meta.binaryCacheFrom = "`+from+`";`, 1))
	o := d.must("apply", "push")

	// Who trusts the cache gets everything from there, and nothing from us.
	for _, host := range []string{"host1", "host2"} {
		d.on(host, "nix-store --check-validity "+o.toplevel(t, host))
		if got := c.got(d.host(host).IP); got < large || got > large+5_000_000 {
			t.Errorf("%s fetched %d bytes", host, got)
		}
		if !strings.Contains(o.stderr, host+" | the host fetched 50 MB in ") || strings.Contains(o.stderr, host+" | copied") || copiedTo(host).MatchString(o.stderr) {
			t.Errorf("%s was copied to:\n%s", host, o.stderr)
		}
		d.nothingKept(host)
	}
	if !copiedTo("host3").MatchString(o.stderr) {
		t.Error("nobody is copied to, so this shows nothing")
	}
	// Who does not is told what to do, and served all the same.
	d.on("host3", "nix-store --check-validity "+o.toplevel(t, "host3"))
	for _, words := range []string{"host3 | warning: the host could not fetch ", "does not trust the key cache-test-1", "nix.settings.trusted-public-keys", "host3 | copied 50 MB in "} {
		if !strings.Contains(o.stderr, words) {
			t.Errorf("lacks %q", words)
		}
	}
	var nars []string
	filepath.Walk(c.dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Size() >= large {
			nars = append(nars, path)
		}
		return err
	})
	if len(nars) != 1 {
		t.Errorf("the large path is in the cache as %q", nars)
	}
	if got := o.stderr + o.stdout; strings.Contains(got, "hushhush") || strings.Contains(got, d.dir+"/secret") {
		t.Errorf("a login is shown:\n%s", got)
	}
	if t.Failed() {
		t.Log(o.stderr)
	}
}

func TestACacheThatFailsIsToldAndCanBeLeftOut(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ meta.binaryCache = "file:///proc/none"; host1.environment.etc.fresh.text = toString builtins.currentTime; }`)
	o := d.run("apply", "push", "--json")
	if r := o.results["host1"]; o.code != 1 || r.Step != "cache" || !strings.Contains(r.Error, "copying to the cache file:///proc/none") || !strings.Contains(r.Error, "--via none") {
		t.Errorf("%+v", r)
	}
	o = d.run("apply", "push", "--json", "--via", "gopher://cache")
	if r := o.results["host1"]; r.Step != "cache" || !strings.Contains(r.Error, "this machine's Nix does not support gopher:// stores") {
		t.Errorf("%+v", r)
	}
	o = d.must("apply", "push", "--via", "none")
	if !strings.Contains(o.stderr, "host1 | copied ") {
		t.Errorf("it is not copied: %s", o.stderr)
	}
	// What is not signed at all is told as that.
	c := d.binaryCache()
	d.hive(`{ host1.environment.etc.fresh.text = "another, ${toString builtins.currentTime}"; }`)
	o = d.must("apply", "push", "--via", "file://"+c.dir, "--via-from", strings.Replace(c.url, "://", "://me:hushhush@", 1))
	for _, words := range []string{"what is there is not signed", "secret-key-files", "host1 | copied "} {
		if !strings.Contains(o.stderr, words) {
			t.Errorf("lacks %q: %s", words, o.stderr)
		}
	}
}
