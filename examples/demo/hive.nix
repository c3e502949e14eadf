# Three hosts and their secrets. `make demo` boots throw-away hosts named host1
# to host3 and deploys this hive to them; on real ones set deployment.targetHost.
{
  meta.description = "The demo of colmena-go";

  # What all nodes have in common.
  defaults = { lib, ... }: {
    boot.loader.grub.enable = lib.mkDefault false;
    fileSystems."/".device = lib.mkDefault "/dev/vda1";
    system.stateVersion = "26.05";
  };

  host1 = {
    deployment.tags = [ "web" ];

    # A certificate's credentials, asked from a program at the time of upload.
    users.users.acme = {
      isSystemUser = true;
      group = "acme";
    };
    users.groups.acme = { };
    users.groups.nginx = { };

    security.acme.acceptTerms = true;
    security.acme.defaults.email = "admin@my-site.tld";
    security.acme.certs."my-site.tld" = {
      dnsProvider = "cloudflare";
      credentialsFile = "/run/keys/acme-credentials.secret";
    };

    deployment.keys."acme-credentials.secret" = {
      # The demo has a small program of that name.
      keyCommand = [ "vault" "read" "-field=env" "secret/dns01" ];
      user = "acme";
      group = "nginx";
      permissions = "0640";
    };
  };

  host2 = {
    deployment.tags = [ "db" ];

    # Files of this machine; the quotes keep them out of the Nix store.
    deployment.keys = {
      db-password = {
        keyFile = "/tmp/colmena-go-fleet/demo/secrets/db-password";
        destDir = "/var/lib/secrets";
      };
      backup-key = {
        keyFile = "/tmp/colmena-go-fleet/demo/secrets/backup-key";
        destDir = "/var/lib/secrets";
      };
      replication-key = {
        keyFile = "/tmp/colmena-go-fleet/demo/secrets/replication-key";
        destDir = "/var/lib/secrets";
      };
      metrics-token.text = "Text ends up in the hive's source, so keep it for what is no great secret.\n";
    };

    # A service that runs only while its secret is there.
    systemd.services.report = {
      description = "Reads a secret, but never shows it";
      wantedBy = [ "multi-user.target" ];
      requires = [ "db-password-key.service" ];
      after = [ "db-password-key.service" ];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
      };
      script = ''
        secret=$(cat /var/lib/secrets/db-password)
        echo "the password has ''${#secret} characters"
      '';
    };
  };

  host3 = { pkgs, ... }: {
    deployment.tags = [ "web" ];

    systemd.services.status-page = {
      wantedBy = [ "multi-user.target" ];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = pkgs.writeShellScript "status-page-1.0" "echo all is well";
      };
    };

    # Sent once the new system is active.
    deployment.keys."after-switch" = {
      text = "The switch is over.\n";
      uploadAt = "post-activation";
    };
  };
}
