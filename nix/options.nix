# The options of a hive, with Colmena's names, types and defaults:
#   deployment  a NixOS module with deployment.*
#   meta        a module with the hive-wide meta.*
{
  quickSubmodule ? import ./quick-submodule.nix,
}:
let
  # Defaults that differ from key to key.
  own = name: config: {
    inherit name;
    path = "${config.destDir}/${config.name}";
  };

  key =
    {
      lib,
      name,
      config,
      ...
    }:
    let
      inherit (lib) mkOption types;
    in
    {
      options = {
        name = mkOption {
          type = types.str;
          default = (own name config).name;
          description = "The key's file name on the host.";
        };
        text = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "The key's content, written out in the hive; in a flake everybody can read it in the Nix store. One of text, keyFile and keyCommand must be set.";
        };
        keyFile = mkOption {
          type = types.nullOr types.path;
          default = null;
          # toString, since a path that becomes part of a string is copied into
          # the Nix store, where everybody can read it.
          apply = value: if value == null then null else toString value;
          example = "/home/me/secrets/token";
          description = "A file on the deploying machine that holds the key's content. Write its path in quotes.";
        };
        keyCommand = mkOption {
          type = types.nullOr (types.addCheck (types.listOf types.str) (argv: argv != [ ]));
          default = null;
          example = [
            "vault"
            "read"
            "-field=env"
            "secret/dns01"
          ];
          description = "A program and its arguments, run on the deploying machine, that prints the key's content.";
        };
        allowEmpty = mkOption {
          type = types.bool;
          default = false;
          description = "Whether keyCommand may print nothing, or only white space, which otherwise is taken for a failure.";
        };
        environment = mkOption {
          type = types.attrsOf types.str;
          default = { };
          example = {
            VAULT_ADDR = "https://vault.example.org";
          };
          description = "Variables added to the environment of keyCommand. Others of this machine can see them: they are no place for secrets.";
        };
        shared = mkOption {
          type = types.bool;
          default = false;
          description = "Whether keyCommand runs once for all keys, of whatever nodes, that have the same one with the same environment and keyTimeout, and are shared, too. It is then not told for which node and key it runs.";
        };
        keyTimeout = mkOption {
          type = types.nullOr types.ints.positive;
          default = null;
          example = 300;
          description = "How many seconds keyCommand, or reading keyFile, may take; null leaves it to --key-timeout.";
        };
        fingerprint = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "version 3";
          description = "Names what the content is made from, such as the version in a vault or the digest of an encrypted file. A host that has the key with the same fingerprint, unchanged, is not sent it, and the content is not even obtained: no keyCommand runs. It is no secret: never the digest of the content itself.";
        };
        restartUnits = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [ "nginx.service" ];
          description = "Units to restart once the key has changed: its content, owner, group or mode. Those that do not run are left alone. A name without a suffix is a service's.";
        };
        reloadUnits = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [ "nginx.service" ];
          description = "Units to reload, or to restart where they cannot be reloaded, once the key has changed. A unit that another changed key restarts is only restarted.";
        };
        destDir = mkOption {
          type = types.path;
          default = "/run/keys";
          description = "The directory on the host that the key goes to. The default one is in memory and empty after a reboot.";
        };
        path = mkOption {
          type = types.path;
          default = (own name config).path;
          readOnly = true;
          internal = true;
          description = "Where the key is on the host.";
        };
        user = mkOption {
          type = types.str;
          default = "root";
          description = "The user, by name or number, that owns the file.";
        };
        group = mkOption {
          type = types.str;
          default = "root";
          description = "The group, by name or number, that owns the file.";
        };
        permissions = mkOption {
          type = types.str;
          default = "0600";
          description = "The file's permissions in octal.";
        };
        uploadAt = mkOption {
          type = types.enum [
            "pre-activation"
            "post-activation"
          ];
          default = "pre-activation";
          description = "Whether the key is uploaded before the new configuration is activated or after. upload-keys uploads all.";
        };
      };
    };

  directory =
    { lib, ... }:
    let
      inherit (lib) mkOption types;
    in
    {
      options = {
        user = mkOption {
          type = types.str;
          default = "root";
          description = "The user, by name or number, that owns the directory.";
        };
        group = mkOption {
          type = types.str;
          default = "root";
          description = "The group, by name or number, that owns the directory.";
        };
        permissions = mkOption {
          type = types.str;
          default = "0755";
          description = "The directory's permissions in octal.";
        };
      };
    };
in
{
  deployment =
    { name, lib, ... }:
    let
      inherit (lib) mkOption types;
    in
    {
      _file = "colmena-go/options.nix";
      options.deployment = {
        targetHost = mkOption {
          type = types.nullOr types.str;
          default = name;
          defaultText = "the node's name";
          description = "The host to connect to: an address, or a name that ssh knows. With null only `build` does anything for the node.";
        };
        targetPort = mkOption {
          type = types.nullOr types.ints.unsigned;
          default = null;
          description = "The SSH port; null leaves it to ssh_config.";
        };
        targetUser = mkOption {
          type = types.nullOr types.str;
          default = "root";
          description = "The user to log in as; null leaves it to ssh_config.";
        };
        allowLocalDeployment = mkOption {
          type = types.bool;
          default = false;
          description = "Whether the node may be applied on the machine that runs the deployment.";
        };
        buildOnTarget = mkOption {
          type = types.bool;
          default = false;
          description = "Whether the node's system is built on the node itself.";
        };
        tags = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [ "production" ];
          description = "Tags by which --on can select the node, with an @ before them.";
        };
        keys = mkOption {
          type = types.attrsOf (quickSubmodule {
            inherit lib own;
            module = key;
          });
          default = { };
          description = "Secrets that are delivered to the host and never enter the Nix store.";
        };
        keyDirectories = mkOption {
          type = types.attrsOf (types.submodule directory);
          default = { };
          description = "Directories on the way to keys, by their paths as they stand in destDir, with the owner and permissions that they get when an upload makes them. Others are root's, with 0755.";
        };
        removeStaleKeys = mkOption {
          type = types.bool;
          default = false;
          description = "Whether files that uploads put on the host for this node are removed when they belong to none of its keys any more, as with --prune-keys. Nothing else is ever removed.";
        };
        replaceUnknownProfiles = mkOption {
          type = types.bool;
          default = true;
          description = "Whether to replace a running system that this machine knows nothing of, as when somebody else deployed it.";
        };
        privilegeEscalationCommand = mkOption {
          type = types.listOf types.str;
          default = [
            "sudo"
            "-H"
            "--"
          ];
          description = "What to put before commands when targetUser is not root. sudo, doas and run0 may ask for a password.";
        };
        sshOptions = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [
            "-J"
            "gate"
            "-oConnectTimeout=5"
          ];
          description = "Words of ssh's command line. They go before ssh_config, and targetHost, targetPort and targetUser before them.";
        };
      };
    };

  meta =
    { lib, ... }:
    let
      inherit (lib) mkOption types;
    in
    {
      _file = "colmena-go/options.nix";
      options = {
        name = mkOption {
          type = types.str;
          default = "hive";
          description = "The hive's name.";
        };
        description = mkOption {
          type = types.str;
          default = "A colmena-go hive";
          description = "What the hive is for.";
        };
        nixpkgs = mkOption {
          type = types.unspecified;
          default = null;
          description = "The nixpkgs of all nodes: a path, the function it holds, or an initialized package set (in a flake only that).";
        };
        nodeNixpkgs = mkOption {
          type = types.attrsOf types.unspecified;
          default = { };
          description = "Another nixpkgs for single nodes, by name.";
        };
        specialArgs = mkOption {
          type = types.attrsOf types.unspecified;
          default = { };
          description = "Arguments for the modules of all nodes.";
        };
        nodeSpecialArgs = mkOption {
          type = types.attrsOf types.unspecified;
          default = { };
          description = "Arguments for the modules of single nodes, by name.";
        };
        machinesFile = mkOption {
          type = types.nullOr types.path;
          default = null;
          apply = value: if value == null then null else toString value;
          description = "A file that lists Nix's remote builders, used in place of those that nix.conf lists.";
        };
        binaryCache = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "s3://cache?region=eu-west-1";
          description = "A store that systems are copied to once, for all hosts to fetch from: whatever `nix copy --to` takes.";
        };
        binaryCacheFrom = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "https://cache.example.com";
          description = "The address at which hosts reach binaryCache, if they know it by another one.";
        };
        allowApplyAll = mkOption {
          type = types.bool;
          default = true;
          description = "Whether nodes may be deployed to without selecting them with --on.";
        };
      };
    };
}
