# From NixOS modules to a configuration, with the arguments and the result of
# nixpkgs' file of this name.
{
  system ? builtins.currentSystem,
  pkgs ? null,
  lib ? import ../../lib,
  baseModules ? import ../modules/module-list.nix,
  extraModules ? [ ],
  modules,
  modulesLocation ? (builtins.unsafeGetAttrPos "modules" call).file or null,
  specialArgs ? { },
  extraArgs ? { },
  check ? true,
  prefix ? [ ],
}@call:
let
  pkgsModule = rec {
    _file = ./eval-config.nix;
    key = _file;
    config = lib.mkMerge [
      (lib.optionalAttrs (system != null) { nixpkgs.system = lib.mkDefault system; })
      (lib.mkIf (pkgs != null) { nixpkgs.pkgs = pkgs; })
    ];
  };

  argsModule = rec {
    _file = ./eval-config.nix;
    key = "${toString _file}#args";
    config._module.args = {
      inherit
        baseModules
        extraModules
        modules
        noUserModules
        ;
    }
    // extraArgs;
  };

  located = map (lib.setDefaultModuleLocation modulesLocation) modules;
  userModules = if modulesLocation == null then modules else located;

  evalWith =
    more:
    lib.evalModules {
      inherit prefix;
      class = "nixos";
      modules = [
        pkgsModule
        argsModule
      ]
      ++ baseModules
      ++ extraModules
      ++ lib.optional (call ? check) { _module.check = lib.mkDefault check; }
      ++ more;
      specialArgs = {
        modulesPath = toString ../modules;
      }
      // specialArgs;
    };

  noUserModules = evalWith [ ];

  # Warnings and failed assertions show when the system is built, not before.
  withParts =
    evaluated:
    evaluated
    // {
      inherit extraArgs lib;
      inherit (evaluated._module.args) pkgs;
      extendModules = args: withParts (evaluated.extendModules args);
    };
in
withParts (evalWith userModules)
