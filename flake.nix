{
  description = "Deploys NixOS to many hosts in parallel and delivers their secrets out of band";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/release-26.05";

  outputs =
    { self, nixpkgs }:
    let
      linux = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      darwin = [
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      forAllSystems = nixpkgs.lib.genAttrs (linux ++ darwin);

      # For `colmena-go version`.
      commit = self.rev or self.dirtyRev or "";
      package = pkgs: args: pkgs.callPackage ./nix/package.nix ({ inherit commit; } // args);
    in
    {
      packages = forAllSystems (
        system:
        let
          pkgs = nixpkgs.legacyPackages.${system};
          static = package pkgs { static = true; };
        in
        {
          default = package pkgs { };
        }
        // (
          if builtins.elem system linux then
            {
              inherit static;
              image = pkgs.callPackage ./nix/image.nix { colmena-go = static; };
            }
          else
            { }
        )
      );

      overlays.default = final: _: { colmena-go = package final { }; };

      apps = forAllSystems (
        system:
        let
          colmena-go = self.packages.${system}.default;
          deploy = nixpkgs.legacyPackages.${system}.callPackage ./nix/deploy-app.nix {
            inherit colmena-go;
          };
          app = program: {
            type = "app";
            inherit program;
          };
        in
        {
          default = app "${colmena-go}/bin/colmena-go";
          deploy = app "${deploy}";
        }
      );

      lib = {
        # A hive evaluated with this version's modules, for the output colmenaHive.
        makeHive = (import ./nix/eval.nix { }).makeHive { };

        # For a flake of your own: apps.x86_64-linux.deploy = colmena-go.lib.deployApp "x86_64-linux";
        deployApp = system: self.apps.${system}.deploy;
      };

      nixosModules = {
        # For a machine that is deployed to: deployment.* and the units of keys.
        default = ./nix/module.nix;

        # For one that deploys: programs.colmena-go.enable.
        colmena-go = ./nix/program.nix;
      };
    };
}
