# Settings as a Nix value: the type of its option and the file it becomes.
{ lib, writeText }:
let
  atom =
    with lib.types;
    nullOr (oneOf [
      bool
      int
      float
      str
      path
    ]);
  tree =
    with lib.types;
    nullOr (oneOf [
      bool
      int
      float
      str
      path
      (attrsOf anything)
      (listOf anything)
    ]);
in
{
  json =
    { }:
    {
      type = tree;
      generate = name: value: writeText name (builtins.toJSON value);
    };
  yaml =
    { }:
    {
      type = tree;
      generate = name: value: writeText name (lib.generators.toYAML { } value);
    };
  ini =
    {
      listsAsDuplicateKeys ? false,
      ...
    }@args:
    {
      type = with lib.types; attrsOf (attrsOf (either atom (listOf atom)));
      generate = name: value: writeText name (lib.generators.toINI { inherit listsAsDuplicateKeys; } value);
    };
  keyValue =
    { ... }@args:
    {
      type = lib.types.attrsOf atom;
      generate = name: value: writeText name (lib.generators.toKeyValue args value);
    };
}
