# The fixed ids that test hosts meet, as NixOS has them.
{ lib, ... }:
let
  ids = lib.mkOption {
    internal = true;
    type = lib.types.attrsOf lib.types.int;
    description = "Ids that are the same on every system.";
  };
in
{
  options.ids = {
    uids = ids;
    gids = ids;
  };

  config.ids = {
    uids = {
      root = 0;
      nginx = 60;
      nobody = 65534;
    };
    gids = {
      root = 0;
      wheel = 1;
      nginx = 60;
      keys = 96;
      users = 100;
      nogroup = 65534;
    };
  };
}
