# How a system lives on a Debian host: where its units are found, and how it
# comes up again after a reboot. A generator of systemd does both, so that the
# host's own units and files stay as they are.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  # A copy, since a generator must be there before anything else is.
  installGenerator = ''
    mkdir -p /etc/systemd/system-generators
    install -m 0755 ${./generator.sh} /etc/systemd/system-generators/nixos
  '';
in
{
  options.system.build.installBootLoader = lib.mkOption {
    internal = true;
    type = lib.types.unspecified;
    description = "The program that makes a system, its argument, the one that boots next.";
  };

  config = {
    system.build.installBootLoader = pkgs.writeScript "install-boot-entry" ''
      #!/bin/sh
      set -e
      mkdir -p /boot
      printf '%s\n' "$1" > /boot/nixos-entry.tmp
      mv -f /boot/nixos-entry.tmp /boot/nixos-entry
      ${installGenerator}
    '';

    system.activationScripts.generator = installGenerator;
  };
}
