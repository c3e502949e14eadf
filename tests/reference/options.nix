# The options of nix/options.nix as a list, with types that only name themselves.
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    isAttrs
    toJSON
    ;

  lib = {
    mkOption = option: option;
    types = {
      str = "string";
      path = "path";
      bool = "boolean";
      unspecified = "anything";
      ints.unsigned = "whole number";
      ints.positive = "whole number";
      nullOr = type: "null or ${type}";
      addCheck = type: _: type;
      enum = values: concatStringsSep " or " (map toJSON values);
      listOf = type: "list of ${type}s";
      attrsOf = type: if isAttrs type then type else "set of ${type}s";
      submodule = module: {
        name = "set of directories";
        key = "path";
        inside = module { inherit lib; };
      };
    };
  };

  all = import ../../nix/options.nix {
    quickSubmodule =
      { module, ... }:
      {
        name = "set of keys";
        key = "name";
        inside = module {
          inherit lib;
          name = "<name>";
          config = {
            destDir = "/run/keys";
            name = "<name>";
          };
        };
      };
  };

  list =
    prefix: options:
    concatMap (
      name:
      let
        option = options.${name};
        inside = isAttrs option.type;
      in
      if option.internal or false then
        [ ]
      else
        [
          {
            name = prefix + name;
            type = if inside then option.type.name else option.type;
            default = option.defaultText or (toJSON option.default);
            example = if option ? example then toJSON option.example else "";
            inherit (option) description;
          }
        ]
        ++ (if inside then list "${prefix}${name}.<${option.type.key}>." option.type.inside.options else [ ])
    ) (attrNames options);
in
{
  deployment = list "deployment." (all.deployment {
    inherit lib;
    name = "<node>";
  }).options.deployment;
  meta = list "meta." (all.meta { inherit lib; }).options;
}
