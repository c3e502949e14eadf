# programs.colmena-go: the program on a NixOS machine that deploys others.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.programs.colmena-go;
in
{
  options.programs.colmena-go = {
    enable = lib.mkEnableOption "colmena-go, which deploys NixOS to many hosts";
    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.colmena-go or (pkgs.callPackage ./package.nix { });
      defaultText = "pkgs.colmena-go";
      description = "The package to use.";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
  };
}
