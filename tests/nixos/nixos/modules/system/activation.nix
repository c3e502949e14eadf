# Activation: pieces of shell that run, in the order of their dependencies,
# whenever a system becomes the current one.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types mkOption;

  scriptType =
    withDry:
    types.either types.str (
      types.submodule {
        options = {
          deps = mkOption {
            type = types.listOf types.str;
            default = [ ];
            description = "Scripts that run before this one.";
          };
          text = mkOption {
            type = types.lines;
            description = "The content of the script.";
          };
        }
        // lib.optionalAttrs withDry {
          supportsDryActivation = mkOption {
            type = types.bool;
            default = false;
            description = ''
              Whether the script also runs on dry activation, with
              {env}`NIXOS_ACTION` set to `dry-activate`.
            '';
          };
        };
      }
    );

  asPiece =
    script:
    if builtins.isString script then
      {
        text = script;
        deps = [ ];
        supportsDryActivation = false;
      }
    else
      script;

  programs = [
    pkgs.coreutils
    pkgs.gnugrep
    pkgs.gnused
    pkgs.findutils
    pkgs.getent
    pkgs.shadow
    pkgs.nettools
    pkgs.util-linux
    pkgs.perl
  ];

  # A failing command does not stop the others; the script as a whole fails.
  wholeScript =
    {
      scripts,
      isDry,
      last,
    }:
    let
      pieces = builtins.mapAttrs (
        name: script:
        let
          piece = asPiece script;
        in
        {
          inherit (piece) deps;
          text = lib.optionalString (!isDry || piece.supportsDryActivation) ''
            #### ${name}
            _failed=0
            ${piece.text}
            if ((_failed > 0)); then
              printf "Activation script snippet '%s' failed (%s)\n" ${lib.escapeShellArg name} "$_failed"
            fi
          '';
        }
      ) scripts;
    in
    ''
      #!${pkgs.runtimeShell}

      systemConfig='@out@'
      export PATH=${lib.makeBinPath programs}
      umask 0022

      _status=0
      trap '_status=1 _failed=$?' ERR

      ${lib.textClosureMap lib.id pieces (builtins.attrNames pieces)}
      ${last}
      exit $_status
    '';
in
{
  options.system = {
    activationScripts = mkOption {
      type = types.attrsOf (scriptType true);
      default = { };
      example = lib.literalExpression ''
        {
          stdio = {
            deps = [ ];
            text = "exec >&2";
          };
        }
      '';
      description = "Shell fragments that run when the system is activated.";
      apply =
        scripts:
        scripts
        // {
          script = wholeScript {
            inherit scripts;
            isDry = false;
            last = ''
              # Only now is this the current system.
              ln -sfn "$(readlink -f "$systemConfig")" /run/current-system
            '';
          };
        };
    };

    userActivationScripts = mkOption {
      type = types.attrsOf (scriptType false);
      default = { };
      description = "Shell fragments that run for every user who is logged in.";
    };

    dryActivationScript = mkOption {
      type = types.lines;
      readOnly = true;
      internal = true;
      default = wholeScript {
        scripts = removeAttrs config.system.activationScripts [ "script" ];
        isDry = true;
        last = "";
      };
      description = "What dry activation runs.";
    };
  };

  config.system.activationScripts = {
    stdio = "";

    # The ramfs that keeps keys out of disk and swap. One that is mounted
    # already may hold keys, so it is left alone.
    specialfs = ''
      mkdir -p /run/keys
      if ! mountpoint -q /run/keys && ! ls -A /run/keys | grep -q .; then
        mount -t ramfs -o nosuid,nodev,mode=0750 ramfs /run/keys 2>/dev/null || chmod 0750 /run/keys
      fi
    '';

    var = ''
      mkdir -p -m 0755 /var/empty /var/lib /var/lib/nixos
    '';
  };
}
