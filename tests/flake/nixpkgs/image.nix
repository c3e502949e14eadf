# What nix/image.nix needs of nixpkgs: programs of this machine with the libraries they
# need, so that they run where nothing else is, and a buildLayeredImage that makes an
# archive as `docker load` takes it, of one layer.
system:
let
  sh =
    name: env: script:
    derivation (
      {
        inherit name system;
        builder = "/bin/sh";
        PATH = "/usr/sbin:/usr/bin:/bin";
        args = [
          "-euc"
          script
        ];
      }
      // env
    );

  # Programs of the machine, each found in PATH, in bin, and their libraries where
  # their linker looks for them.
  programs =
    name: list:
    sh name { inherit list; } ''
      mkdir -p $out/bin
      for program in $list; do
        from=$(command -v "''${program%%=*}")
        cp -L "$from" "$out/bin/''${program##*=}"
        [ "''${program##*=}" != build-remote ] || install -D "$from" $out/usr/libexec/nix/build-remote
        for library in $(ldd "$from" | grep -o '/[^ ]*'); do
          [ -e "$out$library" ] || install -D "$library" "$out$library"
        done
      done
    '';
in
{
  bashInteractive = programs "bash" "bash bash=sh";
  coreutils = programs "coreutils" "cat chmod cp id ln ls mkdir mv rm touch uname";
  gitMinimal = programs "git" "git";
  openssh = programs "openssh" "ssh";
  # Debian's looks for what asks builders beside no program of its own.
  nix = programs "nix" "nix nix=nix-store nix=nix-instantiate nix=nix-build nix=nix-daemon nix=build-remote";
  cacert = sh "cacert" { } "mkdir -p $out/etc/ssl/certs; touch $out/etc/ssl/certs/ca-bundle.crt";

  dockerTools = {
    fakeNss = sh "fake-nss" { } ''
      mkdir -p $out/etc
      echo "root:x:0:0:root user:/var/empty:/bin/sh" >$out/etc/passwd
      echo "root:x:0:" >$out/etc/group
    '';

    buildLayeredImage =
      args:
      let
        archive =
          sh "${args.name}.tar.gz"
            {
              inherit (args) contents extraCommands;
              database = if args.includeNixDB or false then "yes" else "";
              config = builtins.toJSON {
                inherit (args) config;
                architecture = "amd64";
                os = "linux";
                rootfs = {
                  type = "layers";
                  diff_ids = [ "sha256:@sum@" ];
                };
              };
              manifest = builtins.toJSON [
                {
                  Config = "config.json";
                  RepoTags = [ "${args.name}:${args.tag}" ];
                  Layers = [ "layer.tar" ];
                }
              ];
              passAsFile = [
                "config"
                "manifest"
              ];
              exportReferencesGraph = builtins.concatLists (
                builtins.genList (i: [
                  "graph-${toString i}"
                  (builtins.elemAt args.contents i)
                ]) (builtins.length args.contents)
              );
            }
            ''
              mkdir -p root/nix/store image
              cat graph-* | grep ^/nix/store/ | sort -u | while read -r path; do
                [ -e "root$path" ] || cp -R "$path" "root$path"
              done
              for content in $contents; do cp -Rsf "$content/." root/; done
              if [ -n "$database" ]; then
                for graph in graph-*; do
                  NIX_REMOTE="local?root=$PWD/root" nix-store --register-validity <"$graph"
                done
              fi
              cd root
              eval "$extraCommands"
              cd ..
              tar -c --sort=name --owner=0 --group=0 --mtime=@1 -C root . >image/layer.tar
              sum=$(sha256sum <image/layer.tar)
              sed "s/@sum@/''${sum%% *}/" "$configPath" >image/config.json
              cp "$manifestPath" image/manifest.json
              tar -c -C image . | gzip -1 >$out
            '';
      in
      archive // { inherit (args) tag; };
  };
}
