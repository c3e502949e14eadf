{
  description = "A small nixpkgs whose systems run on test hosts";

  outputs =
    { self }:
    let
      lib = import ./lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
    in
    {
      lib = lib.extend (
        final: prev: {
          nixosSystem =
            args:
            import ./nixos/lib/eval-config.nix (
              {
                lib = final;
                system = null;
                modulesLocation = null;
              }
              // args
            );
        }
      );

      legacyPackages = lib.genAttrs systems (system: import ./. { inherit system; });
    };
}
