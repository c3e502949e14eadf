# A hive of nodes that are alike. It needs no builds: a node's system is evaluated
# whole, but what is built in its place is one small file (see small.nix).
#   count   how many nodes
#   module  the module of each: load.nix or server.nix
#   path    a folder whose nixos/lib/eval-config.nix applies small.nix
#   peers   whether each node reads an option of every other
{
  nixpkgs,
  path,
  count,
  module,
  peers ? false,
}:
{
  meta.nixpkgs = import nixpkgs { system = "x86_64-linux"; } // {
    inherit path;
  };

  defaults =
    {
      lib,
      name,
      nodes,
      ...
    }:
    {
      imports = [ module ];
      networking.hostName = name;
      environment.etc.peers = lib.mkIf peers {
        text = lib.concatMapStringsSep "\n" (node: node.config.networking.hostName) (
          builtins.attrValues nodes
        );
      };
    };
}
// builtins.listToAttrs (
  builtins.genList (i: {
    name = "n${toString (100 + i)}";
    value.deployment = {
      targetHost = null;
      tags = [ "t${toString (i / 10)}" ];
    };
  }) count
)
