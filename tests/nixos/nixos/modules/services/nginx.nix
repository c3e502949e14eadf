# nginx by name: its user, group and unit. Nothing is served.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types mkOption;
  cfg = config.services.nginx;
in
{
  options.services.nginx = {
    enable = lib.mkEnableOption "Nginx Web Server";
    package = lib.mkPackageOption pkgs "nginx" { };
    user = mkOption {
      type = types.str;
      default = "nginx";
      description = "User account under which nginx runs.";
    };
    group = mkOption {
      type = types.str;
      default = "nginx";
      description = "Group account under which nginx runs.";
    };
    virtualHosts = mkOption {
      type = types.attrsOf types.anything;
      default = { };
      description = "The virtual hosts.";
    };
    recommendedProxySettings = mkOption {
      type = types.bool;
      default = false;
      description = "Whether to enable recommended proxy settings.";
    };
  };

  config = lib.mkIf cfg.enable {
    users.users = lib.optionalAttrs (cfg.user == "nginx") {
      nginx = {
        inherit (cfg) group;
        isSystemUser = true;
        uid = config.ids.uids.nginx;
      };
    };
    users.groups = lib.optionalAttrs (cfg.group == "nginx") { nginx.gid = config.ids.gids.nginx; };

    systemd.services.nginx = {
      description = "Nginx Web Server";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      stopIfChanged = false;
      startLimitIntervalSec = 60;
      serviceConfig = {
        ExecStart = lib.getExe cfg.package;
        User = cfg.user;
        Group = cfg.group;
        Restart = "always";
        RestartSec = "10s";
      };
    };
  };
}
