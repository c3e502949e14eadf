# The four answers that Colmena asks four processes for, one after the other.
hive:
let
  evaluated = (import ../../../nix/eval.nix { }).makeHive { hermetic = false; } hive;
in
{
  meta = { inherit (evaluated.meta) name description machinesFile allowApplyAll; };
  names = builtins.attrNames evaluated.nodes;
  deployment = builtins.mapAttrs (_: node: node.config.deployment) evaluated.nodes;
  systems = builtins.mapAttrs (_: node: node.config.system.build.toplevel.drvPath) evaluated.nodes;
}
