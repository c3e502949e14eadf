# What eval-config.nix returned -> the same, with a system that names the real one
# and is built at once. (NixOS does not let a module set the toplevel.) Another
# stamp makes one that was not built before.
stamp: node:
node
// {
  config = node.config // {
    system = node.config.system // {
      build = node.config.system.build // {
        toplevel = derivation {
          name = "bench-${node.config.networking.hostName}";
          system = "x86_64-linux";
          builder = "/bin/sh";
          args = [
            "-c"
            "echo $evaluated >$out"
          ];
          inherit stamp;
          evaluated = builtins.unsafeDiscardStringContext node.config.system.build.toplevel.drvPath;
        };
      };
    };
  };
}
