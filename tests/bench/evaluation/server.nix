# An ordinary server, for NixOS' own modules.
{
  name,
  pkgs,
  lib,
  ...
}:
{
  boot.isContainer = true;
  documentation.enable = false;
  environment.stub-ld.enable = false;
  services.logrotate.checkConfig = false;
  system.stateVersion = "25.05";

  services.openssh.enable = true;
  services.fail2ban.enable = true;
  services.prometheus.exporters.node.enable = true;
  services.postgresql = {
    enable = true;
    ensureDatabases = [ "app" ];
    ensureUsers = [
      {
        name = "app";
        ensureDBOwnership = true;
      }
    ];
  };

  security.acme.acceptTerms = true;
  security.acme.defaults.email = "admin@example.org";
  services.nginx = {
    enable = true;
    virtualHosts = lib.genAttrs [ "${name}.example.org" "www.${name}.example.org" ] (_: {
      enableACME = true;
      forceSSL = true;
      locations."/".proxyPass = "http://127.0.0.1:8080";
    });
  };

  users.groups.app = { };
  users.users.app = {
    isSystemUser = true;
    group = "app";
  };
  systemd.services.app = {
    wantedBy = [ "multi-user.target" ];
    serviceConfig = {
      ExecStart = "${pkgs.coreutils}/bin/sleep infinity";
      User = "app";
    };
  };
  deployment.keys = lib.genAttrs [ "database" "mail" "token" ] (key: {
    keyFile = "/etc/secrets/${key}";
    user = "app";
  });
}
