# The options of each kind of unit.
{ lib }:
let
  inherit (lib) types mkOption;

  # A value in a unit file: given once, or a list for a key that repeats.
  unitOption = lib.mkOptionType {
    name = "systemd option";
    merge =
      loc: defs:
      if lib.any (d: builtins.isList d.value) defs then
        lib.concatMap (d: lib.toList d.value) defs
      else
        lib.mergeEqualOption loc defs;
  };

  section =
    name:
    mkOption {
      default = { };
      type = types.attrsOf unitOption;
      description = "Options in the `[${name}]` section of the unit.";
    };
  names =
    description:
    mkOption {
      default = [ ];
      type = types.listOf types.str;
      inherit description;
    };
  flag =
    default: description:
    mkOption {
      inherit default description;
      type = types.bool;
    };
  shell =
    description:
    mkOption {
      default = "";
      type = types.lines;
      inherit description;
    };

  triggers =
    description:
    mkOption {
      default = [ ];
      type = types.listOf types.unspecified;
      inherit description;
    };

  install = {
    enable = flag true "If set to false, this unit will be a symlink to /dev/null.";
    overrideStrategy = mkOption {
      default = "asDropinIfExists";
      type = types.enum [
        "asDropinIfExists"
        "asDropin"
      ];
      description = "Whether the unit replaces one of its name or is laid over it.";
    };
    wantedBy = names "Units that want (i.e. depend on) this unit.";
    requiredBy = names "Units that require (i.e. depend on and need to go down with) this unit.";
    upheldBy = names "Units that keep this unit running.";
    aliases = names "Aliases of this unit.";
  };
in
{
  # The common denominator: text and where it is linked.
  concrete =
    { name, ... }:
    {
      options = install // {
        name = mkOption {
          type = types.str;
          default = name;
          description = "The name of this systemd unit, including its extension.";
        };
        text = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "Text of this systemd unit.";
        };
      };
    };

  common =
    { config, options, ... }:
    {
      config.unitConfig =
        lib.optionalAttrs options.startLimitIntervalSec.isDefined {
          StartLimitIntervalSec = toString config.startLimitIntervalSec;
        }
        // lib.optionalAttrs options.startLimitBurst.isDefined {
          StartLimitBurst = toString config.startLimitBurst;
        };
      options = install // {
        name = mkOption {
          type = types.str;
          internal = true;
          default = "";
          description = "The name of this systemd unit, without its extension.";
        };
        description = mkOption {
          default = "";
          type = types.singleLineStr;
          description = "Description of this unit used in systemd messages and progress indicators.";
        };
        documentation = names "A list of URIs referencing documentation.";
        requires = names "Start the specified units when this unit is started, and stop this unit when they are stopped or fail.";
        wants = names "Start the specified units when this unit is started.";
        upholds = names "Keeps the specified running while this unit is running.";
        after = names "If the specified units are started at the same time as this unit, delay this unit until they have started.";
        before = names "If the specified units are started at the same time as this unit, delay them until this unit has started.";
        bindsTo = names "Like ‘requires’, but in addition, if the specified units unexpectedly disappear, this unit will be stopped as well.";
        partOf = names "If the specified units are stopped or restarted, then this unit is stopped or restarted as well.";
        conflicts = names "If the specified units are started, then this unit is stopped and vice versa.";
        requisite = names "Similar to requires, but fails if the specified units are not started already.";
        onFailure = names "Units that are activated when this unit enters the failed state.";
        onSuccess = names "Units that are activated when this unit enters the inactive state.";
        unitConfig = section "Unit";
        restartTriggers = triggers "An arbitrary list of items; a change of one restarts the unit.";
        reloadTriggers = triggers "An arbitrary list of items; a change of one reloads the unit.";
        startLimitBurst = mkOption {
          type = types.int;
          description = "Starts allowed within startLimitIntervalSec.";
        };
        startLimitIntervalSec = mkOption {
          type = types.int;
          description = "The interval in which starts are counted.";
        };
      };
    };

  service = {
    options = {
      environment = mkOption {
        default = { };
        type = types.attrsOf (
          types.nullOr (
            types.oneOf [
              types.str
              types.path
              types.package
            ]
          )
        );
        description = "Environment variables passed to the service's processes.";
      };
      path = mkOption {
        default = [ ];
        type = types.listOf (types.oneOf [ types.package types.str ]);
        description = "Packages added to the service's PATH.";
      };
      serviceConfig = section "Service";
      enableDefaultPath = flag true "Whether to append a minimal default PATH.";

      script = shell "Shell commands executed as the service's main process.";
      scriptArgs = mkOption {
        type = types.str;
        default = "";
        example = "%i";
        description = "Arguments passed to the main process script.";
      };
      preStart = shell "Shell commands executed before the service's main process is started.";
      postStart = shell "Shell commands executed after the service's main process is started.";
      reload = shell "Shell commands executed when the service's main process is reloaded.";
      preStop = shell "Shell commands executed to stop the service.";
      postStop = shell "Shell commands executed after the service's main process has exited.";

      restartIfChanged = flag true "Whether the service should be restarted during a NixOS configuration switch if its definition has changed.";
      reloadIfChanged = flag false "Whether the service should be reloaded during a NixOS configuration switch if its definition has changed.";
      stopIfChanged = flag true "If set, a changed unit is restarted by calling systemctl stop in the old configuration, then systemctl start in the new one.";
      notSocketActivated = flag false "If set, a changed unit is never assumed to be socket-activated on configuration switch.";
      startAt = mkOption {
        type = types.either types.str (types.listOf types.str);
        default = [ ];
        apply = lib.toList;
        description = "Automatically start this unit at the given dates.";
      };
    };
  };

  socket.options = {
    socketConfig = section "Socket";
    listenStreams = names "For each item in this list, a ListenStream option in the `[Socket]` section will be created.";
    listenDatagrams = names "For each item in this list, a ListenDatagram option in the `[Socket]` section will be created.";
  };
  timer.options.timerConfig = section "Timer";
  path.options.pathConfig = section "Path";
  slice.options.sliceConfig = section "Slice";

  mount.options = {
    what = mkOption {
      type = types.str;
      description = "Absolute path of device node, file or other resource.";
    };
    where = mkOption {
      type = types.str;
      description = "Absolute path of a directory of the mount point.";
    };
    type = mkOption {
      default = "";
      type = types.str;
      description = "File system type.";
    };
    options = mkOption {
      default = "";
      type = types.commas;
      description = "Options used to mount the file system.";
    };
    mountConfig = section "Mount";
  };
}
