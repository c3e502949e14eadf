# What eval-config.nix returned -> the same, with a system in place of the real one
# that is built at once and can be switched to: that makes it the current one, and
# takes two seconds, about what it takes ten hosts on two cores at once.
node:
import ./toplevel.nix node {
  PATH = "/usr/bin:/bin";
  args = [
    "-c"
    ''
      mkdir -p $out/bin
      printf '#!/bin/sh\nln -sfn %s /run/current-system\nsleep 2\n' $out >$out/bin/switch-to-configuration
      chmod +x $out/bin/switch-to-configuration
    ''
  ];
}
