# In the place of ../nixpkgs.nix: nobody but who sets pkgs says what it is.
{ lib, config, ... }:
let
  cfg = config.nixpkgs;
  told =
    option:
    lib.mkOption {
      type = lib.types.unique { message = "nixpkgs.${option} is set to read-only"; } lib.types.anything;
    };
in
{
  disabledModules = [ ../nixpkgs.nix ];
  options.nixpkgs = {
    pkgs = lib.mkOption { type = lib.types.unspecified; };
    config = told "config";
    overlays = told "overlays";
    hostPlatform = lib.mkOption { readOnly = true; };
  };
  config = {
    _module.args.pkgs = builtins.seq cfg.config (builtins.seq cfg.overlays cfg.pkgs);
    nixpkgs = {
      inherit (cfg.pkgs) config overlays;
      inherit (cfg.pkgs.stdenv) hostPlatform;
    };
  };
}
