# mkDerivation with the phases of nixpkgs, run by the bash of the machine.
final: prev:
let
  inherit (prev) lib;

  shell = "/bin/bash";

  mkDerivation =
    argsOrFunction:
    let
      attrs = if lib.isFunction argsOrFunction then argsOrFunction drv else argsOrFunction;
      name = attrs.name or "${attrs.pname}-${attrs.version}";
      inputs = lib.concatMap (a: attrs.${a} or [ ]) [
        "nativeBuildInputs"
        "buildInputs"
        "propagatedBuildInputs"
      ];
      drv =
        derivation (
          removeAttrs attrs [
            "meta"
            "passthru"
            "pos"
          ]
          // {
            inherit name;
            system = attrs.system or final.system;
            builder = shell;
            args = [
              "-e"
              ./builder.sh
            ];
            PATH = lib.concatStringsSep ":" (map (i: "${lib.getBin i}/bin") inputs ++ [ "/usr/bin:/bin:/usr/sbin:/sbin" ]);
          }
        )
        // attrs.passthru or { }
        // {
          inherit name;
          meta = {
            inherit name;
            available = true;
          }
          // attrs.meta or { };
          passthru = attrs.passthru or { };
          overrideAttrs =
            change:
            let
              changes = if lib.isFunction change then change else _: change;
              partial = changes attrs;
            in
            mkDerivation (attrs // (if lib.isFunction partial then partial attrs else partial));
        }
        // lib.optionalAttrs (attrs ? pname) { inherit (attrs) pname; }
        // lib.optionalAttrs (attrs ? version) { inherit (attrs) version; };
    in
    drv;

  hostPlatform = lib.systems.elaborate final.system;
in
{
  stdenv = {
    inherit mkDerivation shell hostPlatform;
    buildPlatform = hostPlatform;
    targetPlatform = hostPlatform;
    system = final.system;
    isLinux = true;
    isDarwin = false;
    isx86_64 = hostPlatform.isx86_64;
    isAarch64 = hostPlatform.isAarch64;
  };
  stdenvNoCC = final.stdenv;
  inherit (final.stdenv) hostPlatform buildPlatform targetPlatform;
}
