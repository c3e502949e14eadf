package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// What the program itself may take of a run with hundreds of hosts.
const (
	mostOwn    = 0.05 // of the time
	mostMemory = 150  // MiB
)

// applyMany measures what the program itself takes to deploy a light hive to hosts
// whose switches take two seconds, each with a few keys.
func (b *bench) applyMany() error {
	const n = 300
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("n%d", 100+i) // as evaluation/hive.nix calls them
	}
	sshConfig := b.dir + "/many_config"
	hosts, err := b.newStandIns(names, sshConfig)
	if err != nil {
		return err
	}
	defer hosts.close()
	if err := b.switchable(n); err != nil {
		return err
	}
	// What is measured begins with systems that are built and host keys that are known.
	for _, args := range [][]string{{"build"}, {"upload-keys"}} {
		if _, err := b.run(b.many(sshConfig, args...)); err != nil {
			return err
		}
	}
	for _, what := range []string{"apply", "apply, nothing changed"} {
		r, err := b.run(b.many(sshConfig, "apply"))
		if err != nil {
			return err
		}
		b.own(fmt.Sprintf("%d hosts, %s", n, what), r, mostOwn)
	}
	return nil
}

func (b *bench) many(sshConfig string, args ...string) *exec.Cmd {
	return exec.Command(b.bin, append(args, "-f", b.dir+"/hive.nix", "--ssh-config", sshConfig, "--log-format", "json")...)
}

// own prints what the program itself took of a run; bound is for its processor.
func (b *bench) own(what string, r ran, bound float64) {
	b.say(what+": processor of the program itself", r.cpu, r.took, "all", bound)
	verdict := fmt.Sprintf("(bound %d)", mostMemory)
	if r.memory > mostMemory<<20 {
		verdict += "  OVER"
		b.bad = append(b.bad, what+": memory")
	}
	fmt.Printf("  memory of the program itself at most %d MiB  %s\n", r.memory>>20, verdict)
}

// switchable writes a hive of n light nodes whose systems can be switched to.
func (b *bench) switchable(n int) error {
	nixpkgs, err := filepath.Abs(light.nixpkgs)
	if err != nil {
		return err
	}
	here, err := filepath.Abs("tests/bench/evaluation")
	if err != nil {
		return err
	}
	path := b.dir + "/switchable"
	if err := os.MkdirAll(path+"/nixos/lib", 0o755); err != nil {
		return err
	}
	wrapper := fmt.Sprintf("arguments: import %s/system.nix (import %s/nixos/lib/eval-config.nix arguments)\n", here, nixpkgs)
	if err := os.WriteFile(path+"/nixos/lib/eval-config.nix", []byte(wrapper), 0o644); err != nil {
		return err
	}
	text := fmt.Sprintf(`let
  hive = import %s/hive.nix { nixpkgs = %s; path = %q; count = %d; module = import %[1]s/load.nix 100; };
in
hive // {
  defaults = { lib, name, ... }: {
    imports = [ hive.defaults ];
    deployment.targetHost = lib.mkForce name;
    deployment.keys = lib.genAttrs [ "one" "two" "three" "four" "five" ] (key: { text = "${key} of ${name}"; });
  };
}
`, here, nixpkgs, path, n)
	return os.WriteFile(b.dir+"/hive.nix", []byte(text), 0o644)
}
