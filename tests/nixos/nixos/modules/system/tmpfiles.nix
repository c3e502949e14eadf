# Rules of systemd-tmpfiles. A switch applies them as NixOS does: by a unit
# that sysinit-reactivation.target pulls in.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  rules = config.systemd.tmpfiles.rules;
in
{
  options.systemd.tmpfiles.rules = lib.mkOption {
    type = lib.types.listOf lib.types.str;
    default = [ ];
    example = [ "d /tmp 1777 root root 10d" ];
    description = "Rules for creation, deletion and cleaning of files.";
  };

  config = {
    systemd.tmpfiles.rules = [
      "d /run/keys 0750 root ${toString config.ids.gids.keys}"
      "z /run/keys 0750 root ${toString config.ids.gids.keys}"
    ];

    environment.etc."tmpfiles.d/00-nixos.conf".text = ''
      # This file is created automatically and should not be modified.

      ${lib.concatStringsSep "\n" rules}
    '';

    systemd.services.systemd-tmpfiles-resetup = {
      description = "Re-setup tmpfiles on a system that is already running.";
      requiredBy = [ "sysinit-reactivation.target" ];
      after = [
        "local-fs.target"
        "systemd-sysusers.service"
        "systemd-journald.service"
      ];
      before = [
        "sysinit-reactivation.target"
        "shutdown.target"
      ];
      conflicts = [ "shutdown.target" ];
      restartTriggers = [ config.environment.etc."tmpfiles.d/00-nixos.conf".source ];
      unitConfig.DefaultDependencies = false;
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = "${pkgs.systemd}/bin/systemd-tmpfiles --create --remove /etc/tmpfiles.d/00-nixos.conf";
        SuccessExitStatus = "DATAERR CANTCREAT";
      };
    };
  };
}
