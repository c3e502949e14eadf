# deployment.* and the units of keys for a NixOS configuration that is not part
# of a hive.
{ config, lib, ... }:
{
  imports = [
    (import ./options.nix { }).deployment
    (import ./keys.nix { })
  ];

  # In a hive this is the node's name.
  _module.args.name = lib.mkDefault config.networking.hostName;
}
