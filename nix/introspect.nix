# An expression of the user's, which is a function as in Colmena, and a hive ->
# what it returns; or, to instantiate that, the derivations in it, as
# nix-instantiate(1) finds and prints them. Of a flake's configurations, pkgs is that
# of one: see introspectAmong in eval.nix.
{
  instantiate,
  system ? null,
  without ? [ ],
}:
expression: hive:
let
  inherit (builtins)
    attrValues
    concatMap
    filter
    isAttrs
    isFunction
    isList
    ;

  call =
    if hive ? introspectAmong then
      hive.introspectAmong { inherit system without; }
    else
      hive.introspect or (throw "colmena-go: the flake's output `colmenaHive` was made by an old makeHive, which lacks `introspect`: update the input it comes from");

  value =
    if isFunction expression || expression ? __functor then
      call expression
    else
      throw "colmena-go: the expression must be a function, as in `{ nodes, pkgs, lib, ... }: attrNames nodes`";

  isDerivation = value: isAttrs value && value.type or null == "derivation";

  pathOf =
    drv:
    drv.drvPath + (if drv.outputName or "out" == "out" then "" else "!${drv.outputName}");

  # Sets in a set are looked into where they ask for it.
  derivations =
    value:
    if isDerivation value then
      [ (pathOf value) ]
    else if isList value then
      concatMap derivations value
    else if isAttrs value then
      concatMap derivations (filter (v: isDerivation v || isAttrs v && v.recurseForDerivations or false == true) (attrValues value))
    else
      throw "colmena-go: the expression's value is neither a derivation nor a set or list of derivations, so there is nothing to instantiate";
in
if instantiate then derivations value else value
