# The options of one user.
{ lib, config }:
let
  inherit (lib) types mkOption;
  cfg = config.users;

  secretHash =
    description:
    mkOption {
      type = types.nullOr (types.passwdEntry types.str);
      default = null;
      inherit description;
    };
  plainText =
    description:
    mkOption {
      type = types.nullOr types.str;
      default = null;
      inherit description;
    };
  flag =
    default: description:
    mkOption {
      type = types.bool;
      inherit default description;
    };
in
{ name, config, ... }:
{
  options = {
    enable = flag true "Whether the user is made at all.";
    name = mkOption {
      type = types.passwdEntry types.str;
      description = "The name of the user account.";
    };
    description = mkOption {
      type = types.passwdEntry types.str;
      default = "";
      description = "A short description of the user account, typically the user's full name.";
    };
    uid = mkOption {
      type = types.nullOr types.int;
      default = null;
      description = "The account UID. If null, a free one is chosen when the system is activated.";
    };
    isSystemUser = flag false "Indicates if the user is a system user or not.";
    isNormalUser = flag false "Indicates whether this is an account for a “real” user.";
    group = mkOption {
      type = types.str;
      default = "";
      description = "The user's primary group.";
    };
    extraGroups = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "The user's auxiliary groups.";
    };
    home = mkOption {
      type = types.passwdEntry types.path;
      default = "/var/empty";
      description = "The user's home directory.";
    };
    homeMode = mkOption {
      type = types.strMatching "[0-7]{1,5}";
      default = "700";
      description = "The user's home directory mode in numeric format.";
    };
    createHome = flag false "Whether to create the home directory and ensure ownership as well as permissions.";
    shell = mkOption {
      type = types.nullOr (types.either types.shellPackage (types.passwdEntry types.path));
      default = "/usr/sbin/nologin";
      description = "The path to the user's shell.";
    };
    useDefaultShell = flag false "If true, the user's shell will be set to {option}`users.defaultUserShell`.";
    ignoreShellProgramCheck = flag false "Whether to skip the check that the shell's program is enabled.";
    linger = mkOption {
      type = types.nullOr types.bool;
      default = false;
      description = "Whether to enable or disable lingering for this user.";
    };
    packages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      description = "The set of packages that should be made available to the user.";
    };
    hashedPassword = secretHash "The hashed password of the user.";
    initialHashedPassword = secretHash "The hashed password a new user gets.";
    password = plainText "The password of the user, in clear.";
    initialPassword = plainText "The password a new user gets, in clear.";
    hashedPasswordFile = plainText "The file with the hashed password.";
    openssh.authorizedKeys = {
      keys = mkOption {
        type = types.listOf types.singleLineStr;
        default = [ ];
        description = "OpenSSH public keys that may log in as the user.";
      };
      keyFiles = mkOption {
        type = types.listOf types.path;
        default = [ ];
        description = "Files with such keys.";
      };
    };
  };

  config = lib.mkMerge [
    {
      name = lib.mkDefault name;
      shell = lib.mkIf config.useDefaultShell (lib.mkDefault cfg.defaultUserShell);
    }
    (lib.mkIf config.isNormalUser {
      group = lib.mkDefault "users";
      createHome = lib.mkDefault true;
      home = lib.mkDefault "/home/${config.name}";
      useDefaultShell = lib.mkDefault true;
      isSystemUser = lib.mkDefault false;
    })
  ];
}
