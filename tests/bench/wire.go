package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

// flight is how long a wire holds each byte; there and back it takes twice that.
const flight = 25 * time.Millisecond

// wire leads to a host and holds what goes through it, in both directions.
type wire struct {
	listener net.Listener
	to       string
	flight   time.Duration
}

// newWire makes one, and writes an ssh_config that leads through it to the host.
func (b *bench) newWire(host, ip string, flight time.Duration) (w *wire, sshConfig string, err error) {
	w = &wire{to: ip + ":22", flight: flight}
	if w.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, "", err
	}
	go w.serve()
	sshConfig = fmt.Sprintf("%s/wire-%s", b.dir, flight)
	text := fmt.Sprintf("Host %s\n  HostName 127.0.0.1\n  Port %d\n  HostKeyAlias %[1]s\n  IdentityFile %[3]s/id_ed25519\n  IdentityAgent none\n  UserKnownHostsFile %[4]s\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking accept-new\n  LogLevel ERROR\n",
		host, w.listener.Addr().(*net.TCPAddr).Port, b.fleet.Dir, b.dir+"/wire_known_hosts")
	return w, sshConfig, os.WriteFile(sshConfig, []byte(text), 0o600)
}

func (w *wire) close() { w.listener.Close() }

func (w *wire) serve() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", w.to)
		if err != nil {
			near.Close()
			continue
		}
		go w.carry(near, far)
		go w.carry(far, near)
	}
}

// carry holds what it reads for the time of a flight; reading goes on meanwhile.
func (w *wire) carry(from, to net.Conn) {
	type parcel struct {
		bytes []byte
		at    time.Time
	}
	onTheWay := make(chan parcel, 10_000)
	go func() {
		defer close(onTheWay)
		for {
			buffer := make([]byte, 32<<10)
			n, err := from.Read(buffer)
			if n > 0 {
				onTheWay <- parcel{buffer[:n], time.Now().Add(w.flight)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range onTheWay {
		time.Sleep(time.Until(p.at))
		if _, err := to.Write(p.bytes); err != nil {
			break
		}
	}
	to.Close()
	io.Copy(io.Discard, from)
}

// long is the flight of a wire that shows round trips however slow the machine is.
const long = 10 * flight

// overAWire counts the round trips that an upload takes besides the handshake, and
// measures what copies take over such a wire.
func (b *bench) overAWire() error {
	host := b.fleet.Hosts[0]
	slow, slowConfig, err := b.newWire(host.Name, host.IP, long)
	if err != nil {
		return err
	}
	defer slow.close()
	quick, quickConfig, err := b.newWire(host.Name, host.IP, 0)
	if err != nil {
		return err
	}
	defer quick.close()
	uploads := func(config string) (time.Duration, error) {
		return b.repeat(func(generation string) (time.Duration, error) {
			if err := b.hive(1, 200, generation, ""); err != nil {
				return 0, err
			}
			return b.delivered(config, "upload-keys")
		})
	}
	logins := func(config string) (time.Duration, error) {
		return b.repeat(func(string) (time.Duration, error) { return b.handshakes(config, host.Name) })
	}
	var took [4]time.Duration
	for i, measure := range []func() (time.Duration, error){
		func() (time.Duration, error) { return uploads(slowConfig) }, func() (time.Duration, error) { return uploads(quickConfig) },
		func() (time.Duration, error) { return logins(slowConfig) }, func() (time.Duration, error) { return logins(quickConfig) },
	} {
		if took[i], err = measure(); err != nil {
			return err
		}
	}
	b.say("200 keys over a long wire, more than the handshake", took[0]-took[1]-(took[2]-took[3]), 2*long, "a round trip", 4.5)
	usual, usualConfig, err := b.newWire(host.Name, host.IP, flight)
	if err != nil {
		return err
	}
	defer usual.close()
	return b.copies(usualConfig)
}

// repeat is the median of several generations.
func (b *bench) repeat(measure func(generation string) (time.Duration, error)) (time.Duration, error) {
	var all []time.Duration
	for range 3 {
		took, err := measure(fmt.Sprint(time.Now().UnixNano()))
		if err != nil {
			return 0, err
		}
		all = append(all, took)
	}
	return median(all...), nil
}

// delivered runs the program, and returns the time from the dial to the result.
func (b *bench) delivered(sshConfig string, args ...string) (time.Duration, error) {
	cmd := exec.Command(b.bin, append(args, "--json", "-f", b.dir+"/hive.nix", "--ssh-config", sshConfig)...)
	cmd.Env = b.env
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%w: %s", err, &said)
	}
	var document struct{ Results []struct{ Seconds float64 } }
	if err := json.Unmarshal(out.Bytes(), &document); err != nil || len(document.Results) != 1 {
		return 0, fmt.Errorf("no result: %w", err)
	}
	return time.Duration(document.Results[0].Seconds * float64(time.Second)), nil
}

// copies measures 51 paths beside what Nix takes for as many with a connection of
// its own.
func (b *bench) copies(sshConfig string) error {
	build := func(generation string) (toplevel string, err error) {
		files := fmt.Sprintf(`environment.etc = builtins.listToAttrs (builtins.genList (i: { name = "f${toString i}"; value.text = "%s ${toString i}"; }) 48);`, generation)
		if err := b.hive(1, 0, generation, files); err != nil {
			return "", err
		}
		cmd := exec.Command(b.bin, "build", "--json", "-f", b.dir+"/hive.nix")
		cmd.Env = b.env
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("build: %w", err)
		}
		var document struct{ Results []struct{ Toplevel string } }
		if err := json.Unmarshal(out, &document); err != nil || len(document.Results) != 1 {
			return "", fmt.Errorf("no result: %w", err)
		}
		return document.Results[0].Toplevel, nil
	}
	ours, err := b.repeat(func(generation string) (time.Duration, error) {
		if _, err := build(generation); err != nil {
			return 0, err
		}
		return b.pushed(sshConfig)
	})
	if err != nil {
		return err
	}
	nixs, err := b.repeat(func(generation string) (time.Duration, error) {
		toplevel, err := build(generation)
		if err != nil {
			return 0, err
		}
		cmd := exec.Command("nix", "copy", "--no-check-sigs", "--to", "ssh-ng://"+b.fleet.Hosts[0].Name, toplevel)
		cmd.Env = append(b.env, "NIX_SSHOPTS=-F "+sshConfig)
		var said strings.Builder
		cmd.Stderr = &said
		begin := time.Now()
		if err := cmd.Run(); err != nil {
			return 0, fmt.Errorf("%w: %s", err, said.String())
		}
		return time.Since(begin), nil
	})
	if err != nil {
		return err
	}
	b.say("51 paths over a wire of 50 ms, with the connection", ours, nixs, "nix copy --to ssh-ng://", 0.85)
	return nil
}

// pushed pushes, and returns the time from the dial, which goes on while the system is
// still evaluated, to the result.
func (b *bench) pushed(sshConfig string) (time.Duration, error) {
	r, err := b.follow("apply", "push", "--ssh-config", sshConfig, "--verbose")
	if err != nil {
		return 0, err
	}
	var dialled, ended time.Duration
	for _, e := range r.events {
		switch {
		case e.Message == "connecting":
			dialled = e.at
		case e.Event == "end":
			ended = e.at
		}
	}
	if dialled == 0 || ended < dialled {
		return 0, fmt.Errorf("the log tells of no push: %+v", r.events)
	}
	return ended - dialled, nil
}
