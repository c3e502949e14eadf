# The options of ACME certificates and their user. No certificate is fetched:
# each one's service only checks that it can read its credentials.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types mkOption;
  cfg = config.security.acme;

  inheritable =
    name: type: default: description:
    mkOption {
      inherit type description;
      default = if default then cfg.defaults.${name} else null;
    };
  shared = inherited: {
    email = inheritable "email" (types.nullOr types.str) inherited "Email address for account creation and correspondence from the CA.";
    dnsProvider = inheritable "dnsProvider" (types.nullOr types.str) inherited "The DNS provider used for the challenge.";
    environmentFile = inheritable "environmentFile" (types.nullOr types.path) inherited "File with the environment that the DNS provider needs, credentials among it.";
    webroot = inheritable "webroot" (types.nullOr types.str) inherited "Directory of the HTTP challenge.";
    group = mkOption {
      type = types.str;
      default = if inherited then cfg.defaults.group else "acme";
      description = "Group running the ACME client.";
    };
    reloadServices = mkOption {
      type = types.listOf types.str;
      default = if inherited then cfg.defaults.reloadServices else [ ];
      description = "Services that are told about a new certificate.";
    };
  };

  certModule =
    { name, ... }:
    {
      imports = [ (lib.mkRenamedOptionModule [ "credentialsFile" ] [ "environmentFile" ]) ];
      options = shared true // {
        domain = mkOption {
          type = types.str;
          default = name;
          description = "Domain to fetch the certificate for.";
        };
        extraDomainNames = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "More domains in the same certificate.";
        };
        directory = mkOption {
          type = types.str;
          readOnly = true;
          default = "/var/lib/acme/${name}";
          description = "Directory where certificate and key are kept.";
        };
      };
    };
in
{
  options.security.acme = {
    acceptTerms = mkOption {
      type = types.bool;
      default = false;
      description = "Accept the CA's terms of service.";
    };
    defaults = mkOption {
      type = types.submodule { options = shared false; };
      description = "Defaults of all certificates.";
      default = { };
    };
    certs = mkOption {
      type = types.attrsOf (types.submodule certModule);
      default = { };
      description = "Certificates to fetch.";
    };
  };

  config = lib.mkIf (cfg.certs != { }) {
    assertions = [
      {
        assertion = cfg.acceptTerms;
        message = "You must accept the CA's terms of service before using the ACME module by setting `security.acme.acceptTerms` to `true`.";
      }
    ]
    ++ lib.mapAttrsToList (name: cert: {
      assertion = cert.email != null;
      message = "You must define `security.acme.certs.${name}.email` or `security.acme.defaults.email` to register with the CA.";
    }) cfg.certs;

    users.users.acme = {
      home = "/var/lib/acme";
      group = "acme";
      isSystemUser = true;
    };
    users.groups.acme = { };

    systemd.services = lib.mapAttrs' (name: cert: {
      name = "acme-${name}";
      value = {
        description = "Renew ACME certificate for ${name}";
        after = [ "network.target" ];
        wants = [ "network.target" ];
        path = [ pkgs.coreutils ];
        serviceConfig = {
          Type = "oneshot";
          User = "acme";
          Group = cert.group;
          EnvironmentFile = lib.mkIf (cert.environmentFile != null) cert.environmentFile;
        };
        script = "true";
      };
    }) cfg.certs;
  };
}
