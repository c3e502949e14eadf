# A small nixpkgs: the same interface as `import <nixpkgs> { }`, with just the
# packages that a system deployed to a test host needs. Its programs are those
# of the Debian host it runs on.
{
  system ? localSystem.system or builtins.currentSystem,
  localSystem ? { },
  crossSystem ? localSystem,
  config ? { },
  overlays ? [ ],
  crossOverlays ? [ ],
  ...
}@args:
let
  lib = import ./lib;

  # What nixpkgs' own defaults put into config.
  configWithDefaults = {
    allowAliases = true;
    allowBroken = false;
    allowUnfree = false;
    allowUnsupportedSystem = false;
    permittedInsecurePackages = [ ];
  }
  // (if lib.isFunction config then config { inherit pkgs lib; } else config);

  again = more: import ./. (removeAttrs args [ "crossSystem" ] // { overlays = overlays ++ more; });

  base = final: {
    _type = "pkgs";
    inherit lib system overlays;
    config = configWithDefaults;
    path = ./.;
    pkgs = final;

    extend = overlay: again [ overlay ];
    appendOverlays = more: if more == [ ] then final else again more;
    callPackage = lib.callPackageWith final;
    newScope = extra: lib.callPackageWith (final // extra);
  };

  parts = [
    (import ./pkgs/stdenv.nix)
    (import ./pkgs/build-support.nix)
    (import ./pkgs/host-programs.nix)
  ];

  pkgs = lib.fix (lib.foldl' (lib.flip lib.extends) base (parts ++ overlays));
in
pkgs
