# The program, as nixpkgs builds it: pkgs.callPackage ./nix/package.nix { }
{
  lib,
  buildGoModule,
  stdenv,
  # What `colmena-go version` tells: a hash, and "-dirty" after it where the tree differs.
  commit ? "",
  # Whether the binary is to need no library of the system's. Names of hosts are
  # looked up without NSS modules then.
  static ? false,
}:
buildGoModule {
  pname = "colmena-go";
  version = "0.1.0";

  src = lib.cleanSource ../.;

  # The NAR hash of what `go mod vendor` makes; tests/flake checks it.
  vendorHash = "sha256-HH2d29pb+xkZUCAi1HJntXuquh0mxeptV8jkvADknXE=";

  # Only the program; the tests boot hosts, which no build sandbox allows.
  subPackages = [ "." ];
  doCheck = false;

  env = if static then { CGO_ENABLED = "0"; } else { };
  ldflags = [
    "-s"
    "-w"
    "-X github.com/colmena-go/colmena-go/pkg/version.commit=${commit}"
  ];

  # Both come from the program itself.
  postInstall =
    if stdenv.buildPlatform.canExecute stdenv.hostPlatform then
      ''
        mkdir -p $out/share/bash-completion/completions $out/share/zsh/site-functions $out/share/fish/vendor_completions.d
        $out/bin/colmena-go man $out/share/man/man1
        $out/bin/colmena-go completion bash >$out/share/bash-completion/completions/colmena-go
        $out/bin/colmena-go completion zsh >$out/share/zsh/site-functions/_colmena-go
        $out/bin/colmena-go completion fish >$out/share/fish/vendor_completions.d/colmena-go.fish
      ''
    else
      "";

  meta = {
    description = "Deploys NixOS to many hosts in parallel and delivers their secrets out of band";
    license = lib.licenses.mit;
    mainProgram = "colmena-go";
  };
}
