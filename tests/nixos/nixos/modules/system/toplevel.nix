# system.build.toplevel: the system as one store path.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types mkOption;

  failed = map (a: a.message) (builtins.filter (a: !a.assertion) config.assertions);
  checked =
    drv:
    if failed != [ ] then
      throw "\nFailed assertions:\n${lib.concatMapStringsSep "\n" (message: "- ${message}") failed}"
    else
      lib.showWarnings config.warnings drv;

  system =
    pkgs.runCommand "nixos-system-${config.system.name}-${config.system.nixos.label}"
      {
        activate = config.system.activationScripts.script;
        dryActivate = config.system.dryActivationScript;
        passAsFile = [
          "activate"
          "dryActivate"
        ];
      }
      ''
        mkdir -p $out/bin
        sed "s|@out@|$out|g" "$activatePath" > $out/activate
        sed "s|@out@|$out|g" "$dryActivatePath" > $out/dry-activate
        sed "s|@out@|$out|g; s|@installBootLoader@|${config.system.build.installBootLoader}|g" \
          ${./switch-to-configuration.pl} > $out/bin/.switch-to-configuration-wrapped
        printf '#!/bin/sh -e\nexec /usr/bin/perl %s "$@"\n' $out/bin/.switch-to-configuration-wrapped \
          > $out/bin/switch-to-configuration
        chmod +x $out/activate $out/dry-activate $out/bin/switch-to-configuration
        /bin/bash -n $out/activate
        ln -s ${config.system.build.etc}/etc $out/etc
        ln -s ${config.system.path} $out/sw
        printf %s ${lib.escapeShellArg config.system.nixos.version} > $out/nixos-version
        # Another value here makes a switch ask for a reboot (exit status 100).
        printf %s "systemd 2" > $out/init-interface-version
        printf %s ${lib.escapeShellArg pkgs.stdenv.hostPlatform.system} > $out/system
        ${config.system.extraSystemBuilderCmds}
      '';
in
{
  options.system = {
    build = mkOption {
      default = { };
      description = "What can be built from this configuration.";
      type = types.submoduleWith {
        modules = [ { freeformType = types.lazyAttrsOf types.unspecified; } ];
      };
    };
    extraSystemBuilderCmds = mkOption {
      type = types.lines;
      internal = true;
      default = "";
      description = "Commands that add to the system's store path.";
    };
    extraDependencies = mkOption {
      type = types.listOf types.pathInStore;
      default = [ ];
      description = "Paths that belong to the system's closure.";
    };
  };

  config.system = {
    build.toplevel = checked system;
    extraSystemBuilderCmds = lib.mkIf (config.system.extraDependencies != [ ]) ''
      printf '%s\n' ${toString config.system.extraDependencies} > $out/extra-dependencies
    '';
  };
}
