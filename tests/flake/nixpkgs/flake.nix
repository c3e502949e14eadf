# A stand-in for nixpkgs, as far as flake.nix here needs one: its buildGoModule
# really builds the program, with this machine's Go and its caches, and
# its buildLayeredImage an image, of programs that this machine has.
{
  outputs =
    { self }:
    let
      lib = {
        genAttrs =
          names: f:
          builtins.listToAttrs (
            map (name: {
              inherit name;
              value = f name;
            }) names
          );
        cleanSource = source: source;
        licenses.mit = { };
      };

      pkgsFor =
        system:
        let
          buildGoModule =
            args:
            derivation {
              inherit system;
              name = "${args.pname}-${args.version}";
              builder = "/bin/sh";
              inherit (args) src ldflags postInstall;
              args = [
                "-euc"
                ''
                  export PATH=/usr/local/go/bin:/usr/bin:/bin HOME=$TMPDIR GOFLAGS=-mod=mod GOPROXY=off GOSUMDB=off CGO_ENABLED=0
                  export GOMODCACHE=@modcache@ GOCACHE=@gocache@
                  cp -R "$src" src
                  chmod -R u+w src
                  cd src
                  go build -ldflags "$ldflags" -o "$out/bin/colmena-go" .
                  eval "$postInstall"
                ''
              ];
            }
            // {
              inherit (args) version env;
            };
          writeShellScript =
            name: text:
            derivation {
              inherit name system;
              builder = "/bin/sh";
              script = "#!/bin/sh\n" + text;
              args = [
                "-euc"
                "printf %s \"$script\" >$out; /bin/chmod +x $out"
              ];
            };
          pkgs = {
            inherit
              lib
              buildGoModule
              writeShellScript
              ;
            stdenv = {
              buildPlatform.canExecute = _: true;
              hostPlatform = { };
            };
            callPackage =
              file: args:
              let
                f = import file;
              in
              f (builtins.intersectAttrs (builtins.functionArgs f) pkgs // args);
          }
          // import ./image.nix system;
        in
        pkgs;
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ] pkgsFor;
    };
}
