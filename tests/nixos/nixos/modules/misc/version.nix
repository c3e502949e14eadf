{ config, lib, ... }:
let
  constant =
    value: description:
    lib.mkOption {
      internal = true;
      type = lib.types.str;
      default = value;
      inherit description;
    };
in
{
  options.system = {
    stateVersion = lib.mkOption {
      type = lib.types.str;
      default = config.system.nixos.release;
      example = "24.05";
      description = "The release whose on-disk formats this machine keeps.";
    };
    name = lib.mkOption {
      type = lib.types.str;
      default = if config.networking.hostName == "" then "unnamed" else config.networking.hostName;
      description = "The name of the system in its store path.";
    };
    nixos = {
      release = constant lib.trivial.release "The NixOS release.";
      version = constant lib.version "The full NixOS version.";
      distroId = constant "nixos" "The id of the operating system.";
      label = constant lib.version "The label of this generation.";
    };
  };
}
