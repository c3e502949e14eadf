# systemd units of the system, from options to one directory of unit files.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types mkOption;
  cfg = config.systemd;

  unitOptions = import ./unit-options.nix { inherit lib; };
  unitText = import ./unit-text.nix { inherit lib pkgs config; };

  unitsOf =
    description: modules:
    mkOption {
      default = { };
      type = types.attrsOf (types.submodule modules);
      description = "Definition of systemd ${description} units.";
    };

  kinds = {
    targets = "target";
    services = "service";
    sockets = "socket";
    timers = "timer";
    paths = "path";
    slices = "slice";
  };

  toUnits =
    kind: suffix:
    lib.mapAttrs' (
      name: unit: lib.nameValuePair "${name}.${suffix}" (unitText.${kind} "${name}.${suffix}" unit)
    ) cfg.${kind};
  pathUnits =
    kind: suffix: units:
    lib.listToAttrs (
      map (
        unit:
        let
          name = "${escapePath unit.where}.${suffix}";
        in
        lib.nameValuePair name (unitText.${kind} name unit)
      ) units
    );
  escapePath =
    path:
    if path == "/" then
      "-"
    else
      lib.replaceStrings [ "-" "/" ] [ "\\x2d" "-" ] (lib.removePrefix "/" path);
in
{
  options.systemd = {
    package = lib.mkPackageOption pkgs "systemd" { };

    units = unitsOf "all" [ unitOptions.concrete ];
    targets = unitsOf "target" [ unitOptions.common ];
    services = unitsOf "service" [
      unitOptions.common
      unitOptions.service
    ];
    sockets = unitsOf "socket" [
      unitOptions.common
      unitOptions.socket
    ];
    timers = unitsOf "timer" [
      unitOptions.common
      unitOptions.timer
    ];
    paths = unitsOf "path" [
      unitOptions.common
      unitOptions.path
    ];
    slices = unitsOf "slice" [
      unitOptions.common
      unitOptions.slice
    ];
    mounts = mkOption {
      default = [ ];
      type = types.listOf (
        types.submodule [
          unitOptions.common
          unitOptions.mount
        ]
      );
      description = "Definition of systemd mount units.";
    };

    packages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      description = "Packages providing systemd units and hooks.";
    };

    globalEnvironment = mkOption {
      type = types.attrsOf (
        types.nullOr (
          types.oneOf [
            types.str
            types.path
            types.package
          ]
        )
      );
      default = { };
      description = "Environment variables passed to all systemd units.";
    };
    defaultUnit = mkOption {
      type = types.str;
      default = "multi-user.target";
      description = "Default unit started when the system boots.";
    };
    sysusers.enable = lib.mkEnableOption "systemd-sysusers" // {
      description = "If enabled, users are created with systemd-sysusers instead of with the custom `update-users-groups.pl` script.";
    };
  };

  config = {
    systemd.units = lib.mkMerge (
      lib.mapAttrsToList toUnits kinds ++ [ (pathUnits "mounts" "mount" cfg.mounts) ]
    );

    # Restarted by every switch; what must be redone before the system's other
    # units start is required by it.
    systemd.targets.sysinit-reactivation = {
      description = "Reactivate sysinit units";
    };

    environment.etc."systemd/system".source = unitText.directory cfg.packages cfg.units;
  };
}
