# Users and groups, and the activation script that makes them on the host.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types mkOption;
  cfg = config.users;
  ids = config.ids;

  userModule = import ./user-options.nix { inherit lib config; };

  groupModule =
    { name, ... }:
    {
      options = {
        name = mkOption {
          type = types.passwdEntry types.str;
          description = "The name of the group.";
        };
        gid = mkOption {
          type = types.nullOr types.int;
          default = null;
          description = "The group GID. If null, a free one is chosen when the system is activated.";
        };
        members = mkOption {
          type = types.listOf (types.passwdEntry types.str);
          default = [ ];
          description = "The user names of the group members, added to the `/etc/group` file.";
        };
      };
      config = {
        name = lib.mkDefault name;
        members = map (u: u.name) (
          builtins.filter (u: builtins.elem name u.extraGroups) (builtins.attrValues cfg.users)
        );
      };
    };

  orDash = value: if value == null then "-" else toString value;
  row = fields: lib.concatStringsSep "\t" (map orDash fields);
  enabled = builtins.filter (u: u.enable) (builtins.attrValues cfg.users);

  # One line per group, then one per user: what users.pl reads.
  spec = pkgs.writeText "users-groups" (
    lib.concatLines (
      map (
        g:
        row [
          "group"
          g.name
          g.gid
          (lib.concatStringsSep "," (lib.unique g.members))
        ]
      ) (builtins.attrValues cfg.groups)
      ++ map (
        u:
        row [
          "user"
          u.name
          u.uid
          (if u.isNormalUser then "normal" else "system")
          u.group
          u.home
          (if builtins.isString u.shell || u.shell == null then u.shell else "${u.shell}${u.shell.shellPath or ""}")
          (if u.createHome then u.homeMode else null)
          (if u.hashedPassword != null then u.hashedPassword else u.initialHashedPassword)
          u.description
        ]
      ) enabled
      ++ [
        (row [
          "mutable"
          (lib.boolToString cfg.mutableUsers)
        ])
      ]
    )
  );
in
{
  options.users = {
    mutableUsers = mkOption {
      type = types.bool;
      default = true;
      description = "Whether users and groups that are not declared here may stay.";
    };
    enforceIdUniqueness = mkOption {
      type = types.bool;
      default = true;
      description = "Whether to require that no two users/groups share the same uid/gid.";
    };
    defaultUserShell = mkOption {
      type = types.either types.path types.shellPackage;
      default = "/bin/bash";
      description = "The default shell for user accounts.";
    };
    users = mkOption {
      default = { };
      type = types.attrsOf (types.submodule userModule);
      description = "Additional user accounts to be created automatically by the system.";
    };
    groups = mkOption {
      default = { };
      type = types.attrsOf (types.submodule groupModule);
      description = "Additional groups to be created automatically by the system.";
    };
  };

  config = {
    users.users = {
      root = {
        uid = ids.uids.root;
        description = "System administrator";
        home = "/root";
        shell = lib.mkDefault cfg.defaultUserShell;
        group = "root";
      };
      nobody = {
        uid = ids.uids.nobody;
        isSystemUser = true;
        description = "Unprivileged account (don't use!)";
        group = "nogroup";
      };
    };
    users.groups = {
      root.gid = ids.gids.root;
      wheel.gid = ids.gids.wheel;
      keys.gid = ids.gids.keys;
      users.gid = ids.gids.users;
      nogroup.gid = ids.gids.nogroup;
    };

    system.build.usersSpec = spec;
    system.build.usersProgram = ./users.pl;

    # Both stay, empty, where a service makes the users: scripts name them.
    system.activationScripts.users =
      if config.services.userborn.enable || config.systemd.sysusers.enable then
        ""
      else
        {
          supportsDryActivation = true;
          deps = [ "specialfs" ];
          text = "perl ${./users.pl} ${spec}";
        };
    system.activationScripts.groups = lib.stringAfter [ "users" ] "";

    environment.etc = lib.mapAttrs' (name: u: {
      name = "ssh/authorized_keys.d/${u.name}";
      value.text = lib.concatLines u.openssh.authorizedKeys.keys;
    }) (lib.filterAttrs (_: u: u.openssh.authorizedKeys.keys != [ ]) cfg.users);

    assertions = lib.concatMap (u: [
      {
        assertion = u.name == "root" || (u.isSystemUser != u.isNormalUser);
        message = "Exactly one of users.users.${u.name}.isSystemUser and users.users.${u.name}.isNormalUser must be set.";
      }
      {
        assertion = u.group != "";
        message = "users.users.${u.name}.group is unset. This used to default to nogroup, but this is unsafe. For example you can create a group for this user with:\nusers.users.${u.name}.group = \"${u.name}\";\nusers.groups.${u.name} = {};";
      }
    ]) enabled;
  };
}
