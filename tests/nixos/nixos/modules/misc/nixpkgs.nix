# The package set a system is made of: pkgs, from nixpkgs.*.
{
  config,
  options,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.nixpkgs;

  # Overlays from different modules compose; sets in config merge name by name.
  overlayType = lib.mkOptionType {
    name = "nixpkgs-overlay";
    description = "nixpkgs overlay";
    check = lib.isFunction;
    merge = lib.mergeOneOption;
  };
  configType = lib.mkOptionType {
    name = "nixpkgs-config";
    description = "nixpkgs config";
    check = x: builtins.isAttrs x || lib.isFunction x;
    merge =
      _: defs:
      lib.foldr (def: all: lib.recursiveUpdate all (lib.toFunction def.value { inherit pkgs; })) { } defs;
  };

  fresh = import ../../.. {
    inherit (cfg) config overlays;
    system = cfg.hostPlatform.system or cfg.system;
  };
  finalPkgs =
    if options.nixpkgs.pkgs.isDefined then cfg.pkgs.appendOverlays cfg.overlays else fresh;
in
{
  options.nixpkgs = {
    pkgs = lib.mkOption {
      type = lib.mkOptionType {
        name = "nixpkgs";
        description = "An evaluation of Nixpkgs; the top level attribute set of packages";
        check = builtins.isAttrs;
        merge = lib.mergeOneOption;
      };
      description = "The package set to use, in place of one made from the other options here.";
    };
    config = lib.mkOption {
      type = configType;
      default = { };
      example = {
        allowUnfree = true;
      };
      description = "Global configuration for Nixpkgs.";
    };
    overlays = lib.mkOption {
      type = lib.types.listOf overlayType;
      default = [ ];
      description = "Overlays for the package set, applied in order.";
    };
    hostPlatform = lib.mkOption {
      type = lib.types.either lib.types.str lib.types.attrs;
      apply = lib.systems.elaborate;
      example = "aarch64-linux";
      description = "The platform the system runs on.";
    };
    system = lib.mkOption {
      type = lib.types.str;
      example = "i686-linux";
      description = "The platform the system runs on, as a string.";
    };
  };

  config = {
    nixpkgs.hostPlatform = lib.mkOptionDefault (
      if options.nixpkgs.pkgs.isDefined then cfg.pkgs.system else cfg.system
    );
    _module.args.pkgs = lib.mkOverride 1490 finalPkgs;
  };
}
