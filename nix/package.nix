# The program, as nixpkgs builds it: pkgs.callPackage ./nix/package.nix { }
{ lib, buildGoModule }:
buildGoModule {
  pname = "colmena-go";
  version = "0.1.0";

  src = lib.cleanSource ../.;

  # The NAR hash of what `go mod vendor` makes; tests/flake checks it.
  vendorHash = "sha256-NIZ4TPd40zHMrmkMEU6lp8NrAPGON+zMN2CJW1O9zWE=";

  # Only the program; the tests boot hosts, which no build sandbox allows.
  subPackages = [ "." ];
  doCheck = false;

  meta = {
    description = "Deploys NixOS to many hosts in parallel and delivers their secrets out of band";
    license = lib.licenses.mit;
    mainProgram = "colmena-go";
  };
}
