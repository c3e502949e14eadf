# The packages in everybody's PATH.
{
  config,
  lib,
  pkgs,
  ...
}:
{
  options = {
    environment = {
      systemPackages = lib.mkOption {
        type = lib.types.listOf lib.types.package;
        default = [ ];
        description = "Packages in the PATH of every user.";
      };
      pathsToLink = lib.mkOption {
        type = lib.types.listOf lib.types.str;
        default = [ ];
        example = [ "/" ];
        description = "Directories of the packages that are linked into the system.";
      };
      variables = lib.mkOption {
        type = lib.types.attrsOf (
          lib.types.oneOf [
            (lib.types.listOf lib.types.str)
            lib.types.int
            lib.types.str
            lib.types.path
          ]
        );
        default = { };
        description = "Environment variables of login shells.";
      };
    };

    system.path = lib.mkOption {
      internal = true;
      type = lib.types.package;
      description = "The packages joined in one tree.";
    };
  };

  config = {
    environment.pathsToLink = [
      "/bin"
      "/share"
    ];
    system.path = pkgs.buildEnv {
      name = "system-path";
      paths = config.environment.systemPackages;
      inherit (config.environment) pathsToLink;
      ignoreCollisions = true;
    };
  };
}
