# What makes a node of tests/nixos about as dear to evaluate as an ordinary server
# of NixOS: so many modules, each with options of its own, which all have a say in
# the system.
modules:
let
  module =
    i:
    { config, lib, ... }:
    let
      cfg = config.load."module${toString i}";
      option = type: default: lib.mkOption { inherit type default; };
      inherit (lib.types)
        attrsOf
        bool
        listOf
        nullOr
        str
        submodule
        ;
    in
    {
      options.load."module${toString i}" = {
        enable = option bool true;
        text = option (nullOr str) null;
        list = option (listOf str) [ ];
        entries = option (attrsOf (submodule {
          options.name = option str "";
          options.value = option (nullOr str) null;
        })) { };
      };
      config = lib.mkIf cfg.enable {
        load."module${toString i}" = {
          list = lib.mkBefore [ config.networking.hostName ];
          entries = lib.genAttrs [ "one" "two" ] (name: {
            inherit name;
          });
        };
        # Most of NixOS' modules touch these.
        assertions = [ ];
        boot.kernel = { };
        environment.etc = { };
        networking = { };
        systemd.services = { };
        users.users = { };
      };
    };
in
{ config, ... }:
{
  imports = builtins.genList module modules;
  config = {
    boot.loader.grub.enable = false;
    fileSystems."/".device = "/dev/vda1";
    system.stateVersion = "26.05";
    environment.etc.load.text = builtins.hashString "sha256" (builtins.toJSON (config.load or { }));
  };
}
