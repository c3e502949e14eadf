package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// shakeHands is the argument that has this program only log in, for comparison. Then
// come how many bytes it sends to each, the key and the addresses.
const shakeHands = "shake-hands"

// sentToEach is about what the program sends to a host with 20 small keys, in bytes.
const sentToEach = 40_000

// thousand measures what the program itself takes to send keys to a thousand hosts,
// beside what as many handshakes take.
func (b *bench) thousand() error {
	const n = 1000
	names := make([]string, n)
	nodes := ""
	for i := range names {
		names[i] = fmt.Sprintf("h%d", i)
		nodes += names[i] + " = { };\n"
	}
	config := b.dir + "/thousand_config"
	hosts, err := b.newStandIns(names, config)
	if err != nil {
		return err
	}
	defer hosts.close()
	text := `let keys = builtins.listToAttrs (builtins.genList (i: { name = "key${toString i}"; value.text = "a key of some length, number ${toString i}"; }) 20);
in { defaults.deployment.keys = keys;
` + nodes + "}"
	if err := os.WriteFile(b.dir+"/hive.nix", []byte(text), 0o644); err != nil {
		return err
	}
	ours, err := b.run(b.many(config, "upload-keys"))
	if err != nil {
		return err
	}
	bare := map[int]ran{}
	for _, bytes := range []int{0, sentToEach} {
		args := append([]string{shakeHands, fmt.Sprint(bytes), b.fleet.Dir + "/id_ed25519"}, hosts.addresses()...)
		if bare[bytes], err = b.run(exec.Command(os.Args[0], args...)); err != nil {
			return err
		}
	}
	b.say("1000 hosts x 20 keys: processor of the program itself", ours.cpu, bare[0].cpu, "1000 handshakes", 0)
	b.say("  the same", ours.cpu, bare[sentToEach].cpu, "as many with a session of as many bytes", 0)
	verdict := ""
	if ours.memory > 300<<20 {
		verdict = "  OVER"
		b.bad = append(b.bad, "1000 hosts: memory")
	}
	fmt.Printf("  memory of the program itself at most %d MiB  (bound 300)%s; all in %.1f s\n", ours.memory>>20, verdict, ours.took.Seconds())
	return b.settings(config, names)
}

// settings measures what asking ssh -G for as many costs.
func (b *bench) settings(config string, names []string) error {
	begin := time.Now()
	for _, name := range names {
		if err := exec.Command("ssh", "-T", "-G", "-F", config, name).Run(); err != nil {
			return err
		}
	}
	took := time.Since(begin)
	fmt.Printf("  of it ssh -G for each, one after the other: %.1f s, %.1f ms each\n", took.Seconds(), float64(took.Milliseconds())/float64(len(names)))
	return nil
}

// handshakes is the time that one login takes.
func (b *bench) handshakes(config, host string) (time.Duration, error) {
	out, err := exec.Command("ssh", "-G", "-F", config, host).Output()
	if err != nil {
		return 0, err
	}
	port := ""
	for line := range strings.Lines(string(out)) {
		if value, found := strings.CutPrefix(line, "port "); found {
			port = strings.TrimSpace(value)
		}
	}
	login, err := login(b.fleet.Dir + "/id_ed25519")
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	client, err := ssh.Dial("tcp", "127.0.0.1:"+port, login)
	if err != nil {
		return 0, err
	}
	took := time.Since(begin)
	return took, client.Close()
}

func login(identity string) (*ssh.ClientConfig, error) {
	text, err := os.ReadFile(identity)
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, err
	}
	return &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(), // of stand-ins
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
	}, nil
}

// logIn is what this program does with the argument shakeHands: it logs in at each
// address, ten at a time, sends so many bytes, if any, and ends.
func logIn(bytes, identity string, addresses []string) error {
	config, err := login(identity)
	if err != nil {
		return err
	}
	size, err := strconv.Atoi(bytes)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	places := make(chan struct{}, 10)
	errs := make([]error, len(addresses))
	for i, address := range addresses {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			client, err := ssh.Dial("tcp", address, config)
			if err == nil {
				err = errors.Join(send(client, size), client.Close())
			}
			errs[i] = err
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// send sends so many bytes in a session, and waits for its end.
func send(client *ssh.Client, size int) error {
	if size == 0 {
		return nil
	}
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()
	session.Stdin = strings.NewReader(strings.Repeat("x", size))
	return session.Run(fmt.Sprintf("head -c %d >/dev/null", size))
}
