# Files below /etc: /etc/static points to the system's tree, and each file in
# /etc is a link into it. Files that the host has beside them stay.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types mkOption;
  files = builtins.filter (f: f.enable) (builtins.attrValues config.environment.etc);

  install = f: ''
    entry ${lib.escapeShellArg "${f.source}"} ${lib.escapeShellArg f.target} ${f.mode} ${lib.escapeShellArg f.user} ${lib.escapeShellArg f.group}
  '';
in
{
  options = {
    environment.etc = mkOption {
      default = { };
      example = lib.literalExpression ''{ "default/useradd".text = "GROUP=100 ..."; }'';
      description = "Files that are linked in {file}`/etc`.";
      type = types.attrsOf (
        types.submodule (
          {
            name,
            config,
            options,
            ...
          }:
          {
            options = {
              enable = mkOption {
                type = types.bool;
                default = true;
                description = "Whether this file should be made.";
              };
              target = mkOption {
                type = types.str;
                description = "Name of the file, relative to {file}`/etc`.";
              };
              text = mkOption {
                type = types.nullOr types.lines;
                default = null;
                description = "Text of the file.";
              };
              source = mkOption {
                type = types.path;
                description = "Path of the source file.";
              };
              mode = mkOption {
                type = types.str;
                default = "symlink";
                example = "0600";
                description = "If set to something else than `symlink`, the file is copied with this mode.";
              };
              uid = mkOption {
                type = types.int;
                default = 0;
                description = "UID of a copied file.";
              };
              gid = mkOption {
                type = types.int;
                default = 0;
                description = "GID of a copied file.";
              };
              user = mkOption {
                type = types.str;
                default = "+${toString config.uid}";
                description = "User name of the owner of a copied file; wins over `uid`.";
              };
              group = mkOption {
                type = types.str;
                default = "+${toString config.gid}";
                description = "Group name of the owner of a copied file; wins over `gid`.";
              };
            };
            config = {
              target = lib.mkDefault name;
              source = lib.mkIf (config.text != null) (
                let
                  name' = "etc-" + lib.replaceStrings [ "/" ] [ "-" ] name;
                in
                lib.mkDerivedConfig options.text (pkgs.writeText name')
              );
            };
          }
        )
      );
    };

    system.build.etc = mkOption {
      internal = true;
      type = types.package;
      description = "The tree that becomes {file}`/etc/static`.";
    };
  };

  config = {
    system.build.etc =
      pkgs.runCommand "etc"
        {
          script = lib.concatMapStrings install files;
          passAsFile = [ "script" ];
        }
        ''
          mkdir -p $out/etc
          : > $out/copied
          entry() {
            mkdir -p "$out/etc/$(dirname "$2")"
            ln -s "$1" "$out/etc/$2"
            [ "$3" = symlink ] || printf '%s\t%s\t%s\t%s\n' "$2" "$3" "$4" "$5" >> $out/copied
          }
          . "$scriptPath"
        '';

    system.activationScripts.etc = lib.stringAfter [ "users" "groups" ] ''
      echo "setting up /etc..."
      ${pkgs.runtimeShell} ${./setup-etc.sh} ${config.system.build.etc}
    '';
  };
}
