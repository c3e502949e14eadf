# Users made by a service before sysinit.target (userborn or systemd-sysusers) in
# place of an activation script: while those run, new users do not exist yet.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.userborn;

  makesUsers = {
    wantedBy = [ "sysinit.target" ];
    requiredBy = [ "sysinit-reactivation.target" ];
    after = [
      "systemd-remount-fs.service"
      "systemd-tmpfiles-setup-dev-early.service"
    ];
    before = [
      "systemd-tmpfiles-setup-dev.service"
      "sysinit.target"
      "shutdown.target"
      "sysinit-reactivation.target"
    ];
    conflicts = [ "shutdown.target" ];
    restartTriggers = [ config.system.build.usersSpec ];
    unitConfig.DefaultDependencies = false;
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      TimeoutSec = "90s";
      ExecStart = "${pkgs.perl}/bin/perl ${config.system.build.usersProgram} ${config.system.build.usersSpec}";
    };
  };
in
{
  options.services.userborn = {
    enable = lib.mkEnableOption "userborn";
    passwordFilesLocation = lib.mkOption {
      type = lib.types.str;
      default = "/etc";
      description = "The location of the original password files.";
    };
  };

  config.assertions = [
    {
      assertion = !(config.systemd.sysusers.enable && cfg.enable);
      message = "You cannot use systemd-sysusers and Userborn at the same time";
    }
  ];

  config.systemd.services = lib.mkMerge [
    (lib.mkIf cfg.enable {
      userborn = makesUsers // {
        description = "Manage Users and Groups";
        aliases = [ "systemd-sysusers.service" ];
      };
    })
    (lib.mkIf config.systemd.sysusers.enable {
      systemd-sysusers = makesUsers // {
        description = "Create System Users";
      };
    })
  ];
}
