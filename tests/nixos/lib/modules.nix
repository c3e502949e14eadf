# The module system: what properties are, and the names modules use for them.
# How modules are gathered and merged stands in ./modules/.
{ lib }:
let
  collect = import ./modules/collect.nix { inherit lib; };
  merge = import ./modules/merge.nix { inherit lib; };
  evaluate = import ./modules/evaluate.nix { inherit lib; };
  rename = import ./modules/rename.nix { inherit lib; };

  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkOrder = priority: content: {
    _type = "order";
    inherit priority content;
  };
in
{
  inherit (collect) setDefaultModuleLocation importApply;
  inherit (merge)
    mergeDefinitions
    mergeModules
    mergeOptionDecls
    evalOptionValue
    dischargeProperties
    pushDownProperties
    filterOverrides
    sortProperties
    ;
  inherit (evaluate) evalModules;
  inherit (rename)
    mkRemovedOptionModule
    mkRenamedOptionModule
    mkAliasOptionModule
    mkAliasOptionModuleMD
    mkChangedOptionModule
    mkMergedOptionModule
    doRename
    ;

  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkAssert =
    assertion: message: content:
    {
      _type = "if";
      condition = if assertion then true else throw "\nFailed assertion: ${message}";
      inherit content;
    };

  inherit mkOverride mkOrder;
  mkOptionDefault = mkOverride 1500;
  mkDefault = mkOverride 1000;
  mkImageMediaOverride = mkOverride 60;
  mkForce = mkOverride 50;
  mkVMOverride = mkOverride 10;
  defaultOverridePriority = 100;
  mkBefore = mkOrder 500;
  mkAfter = mkOrder 1500;
  defaultOrderPriority = 1000;

  # A value made from that of another option, as strong as its definition.
  mkDerivedConfig =
    opt: f: mkOverride (opt.highestPrio or lib.modules.defaultOverridePriority) (f opt.value);
  mkAliasDefinitions = option: lib.mkIf option.isDefined (lib.mkMerge option.definitions);
  mkAliasAndWrapDefinitions =
    wrap: option: lib.mkIf option.isDefined (wrap (lib.mkMerge option.definitions));
}
