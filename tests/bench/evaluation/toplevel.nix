# What eval-config.nix returned, attributes of a derivation -> the same with that as its
# system. It names the real one, which is evaluated so. (NixOS does not let a module set
# the toplevel.)
node: attributes:
node
// {
  config = node.config // {
    system = node.config.system // {
      build = node.config.system.build // {
        toplevel = derivation (
          {
            name = "bench-${node.config.networking.hostName}";
            system = "x86_64-linux";
            builder = "/bin/sh";
            evaluated = builtins.unsafeDiscardStringContext node.config.system.build.toplevel.drvPath;
          }
          // attributes
        );
      };
    };
  };
}
