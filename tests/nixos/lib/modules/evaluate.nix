# evalModules: modules in, checked config and options out.
{ lib }:
let
  collect = import ./collect.nix { inherit lib; };
  merge = import ./merge.nix { inherit lib; };
  inherit (lib.options) showOption showDefs mkOption;
in
rec {
  evalModules =
    {
      modules,
      prefix ? [ ],
      specialArgs ? { },
      class ? null,
      args ? { },
      check ? true,
    }@call:
    let
      merged = merge.mergeModules prefix (
        collect.collectModules ([ internal ] ++ modules) (
          {
            inherit lib config;
            inherit (merged) options;
            _class = class;
            _prefix = prefix;
          }
          // specialArgs
        ) (specialArgs.modulesPath or "")
      );

      # The module system's own options.
      internal = {
        _file = "lib/modules.nix";
        key = "lib/modules.nix";
        options._module = {
          args = mkOption {
            type = lib.types.lazyAttrsOf lib.types.raw;
            internal = true;
            description = "Additional arguments passed to each module.";
          };
          check = mkOption {
            type = lib.types.bool;
            internal = true;
            default = check;
            description = "Whether to check that all definitions have a declaration.";
          };
          freeformType = mkOption {
            type = lib.types.nullOr lib.types.optionType;
            internal = true;
            default = null;
            description = "The type of definitions without a declaration.";
          };
          specialArgs = mkOption {
            readOnly = true;
            internal = true;
            description = "Externally provided module arguments.";
          };
        };
        config._module = {
          args = {
            inherit extendModules;
            moduleType = type;
          }
          // args;
          inherit specialArgs;
        };
      };

      config =
        let
          inherit (merged.config._module) freeformType;
          free = freeformType.merge prefix (
            map (def: {
              inherit (def) file;
              value = lib.setAttrByPath def.path def.value;
            }) merged.unmatched
          );
        in
        if freeformType == null || merged.unmatched == [ ] then
          merged.config
        else
          lib.recursiveUpdate free merged.config;

      checked =
        value:
        if config._module.check && config._module.freeformType == null && merged.unmatched != [ ] then
          throw (unknownOption prefix merged.options (builtins.head merged.unmatched))
        else
          value;

      extendModules =
        extension:
        evalModules (
          call
          // {
            modules = modules ++ extension.modules or [ ];
            specialArgs = specialArgs // extension.specialArgs or { };
            prefix = extension.prefix or prefix;
          }
        );

      type = lib.types.submoduleWith { inherit modules specialArgs class; };
    in
    {
      _type = "configuration";
      options = checked (removeAttrs merged.options [ "_module" ]);
      config = checked (removeAttrs config [ "_module" ]);
      _module = checked config._module;
      inherit extendModules type class;
    };

  unknownOption =
    prefix: options: def:
    let
      message = "The option `${showOption (prefix ++ def.path)}' does not exist. Definition values:${showDefs [ def ]}";
      hint =
        if builtins.attrNames options == [ "_module" ] then
          if def.path == [ "options" ] || builtins.isAttrs def.value && def.value._type or "" == "option" then
            "\n\nIt seems as if you're trying to declare an option by placing it into `config' rather than `options'!\n"
          else
            "\n\nHowever there are no options defined in `${showOption prefix}'. Are you sure you've\ndeclared your options properly? This can happen if you e.g. declared your options in `types.submodule'\nunder `config' rather than `options'.\n"
        else
          "";
    in
    message + hint;
}
