{
  description = "Deploys NixOS to many hosts in parallel and delivers their secrets out of band";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/release-26.05";

  outputs =
    { self, nixpkgs }:
    let
      forAllSystems = nixpkgs.lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
    in
    {
      packages = forAllSystems (system: {
        default = nixpkgs.legacyPackages.${system}.callPackage ./nix/package.nix { };
      });

      apps = forAllSystems (
        system:
        let
          package = self.packages.${system}.default;
          deploy = nixpkgs.legacyPackages.${system}.callPackage ./nix/deploy-app.nix {
            colmena-go = package;
          };
          app = program: {
            type = "app";
            inherit program;
          };
        in
        {
          default = app "${package}/bin/colmena-go";
          deploy = app "${deploy}";
        }
      );

      lib = {
        # A hive evaluated with this version's modules, for the output colmenaHive.
        makeHive = (import ./nix/eval.nix { }).makeHive { };

        # For a flake of your own: apps.x86_64-linux.deploy = colmena-go.lib.deployApp "x86_64-linux";
        deployApp = system: self.apps.${system}.deploy;
      };

      nixosModules.default = ./nix/module.nix;
    };
}
