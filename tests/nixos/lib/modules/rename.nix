# Modules for options that moved or went away.
{ lib }:
let
  inherit (lib.options) showOption showFiles;
  opt = path: options: lib.attrByPath path null options;
in
rec {
  mkRemovedOptionModule =
    path: replacement:
    { options, ... }:
    {
      options = lib.setAttrByPath path (
        lib.mkOption {
          visible = false;
          apply = _: throw "The option `${showOption path}' can no longer be used since it's been removed. ${replacement}";
        }
      );
      config.assertions = [
        {
          assertion = !(opt path options).isDefined;
          message = "The option definition `${showOption path}' in ${
            showFiles (opt path options).files
          } no longer has any effect; please remove it.\n${replacement}";
        }
      ];
    };

  mkRenamedOptionModule =
    from: to:
    doRename {
      inherit from to;
      visible = false;
      warn = true;
    };
  mkAliasOptionModule =
    from: to:
    doRename {
      inherit from to;
      visible = true;
      warn = false;
    };
  mkAliasOptionModuleMD = mkAliasOptionModule;

  mkChangedOptionModule = from: to: mkMergedOptionModule [ from ] to;
  mkMergedOptionModule =
    from: to: mergeFn:
    { config, options, ... }:
    {
      options = builtins.foldl' lib.recursiveUpdate { } (
        map (path: lib.setAttrByPath path (lib.mkOption { visible = false; })) from
      );
      config = lib.setAttrByPath to (
        lib.mkMerge (
          lib.optional (lib.any (path: (opt path options).isDefined) from) (mergeFn config)
        )
      );
    };

  # Definitions of from count as definitions of to, priorities kept.
  doRename =
    {
      from,
      to,
      visible,
      warn,
      use ? lib.id,
      withPriority ? true,
      condition ? true,
    }:
    { config, options, ... }:
    let
      fromOpt = opt from options;
      toOpt = opt to options;
      prioritize = if withPriority then lib.mkOverride fromOpt.highestPrio else lib.id;
    in
    {
      options = lib.setAttrByPath from (
        lib.mkOption (
          {
            inherit visible;
            description = "Alias of {option}`${showOption to}`.";
            apply = _: use (lib.getAttrFromPath to config);
          }
          // lib.optionalAttrs (toOpt ? type) { inherit (toOpt) type; }
        )
      );
      config = lib.mkIf condition (
        lib.mkMerge [
          (lib.optionalAttrs (options ? warnings) {
            warnings = lib.optional (
              warn && fromOpt.isDefined
            ) "The option `${showOption from}' defined in ${showFiles fromOpt.files} has been renamed to `${showOption to}'.";
          })
          (lib.setAttrByPath to (
            lib.mkIf fromOpt.isDefined (lib.mkMerge (map prioritize fromOpt.definitions))
          ))
        ]
      );
    };
}
