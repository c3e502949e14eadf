# OpenSSH's options. The host's own sshd serves, so they have no effect.
{ lib, ... }:
let
  inherit (lib) types;
  accepted =
    type: default: description:
    lib.mkOption { inherit type default description; };
in
{
  options.services.openssh = {
    enable = accepted types.bool false "Whether to enable the OpenSSH secure shell daemon.";
    ports = accepted (types.listOf types.port) [ 22 ] "Ports that sshd listens on.";
    openFirewall = accepted types.bool true "Whether to open the ports in the firewall.";
    settings = accepted (types.attrsOf types.anything) { } "Configuration of sshd.";
  };
}
