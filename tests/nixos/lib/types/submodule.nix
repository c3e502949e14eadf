# Types whose values are configurations of their own.
{ lib }:
let
  inherit (lib.types) mkOptionType;

  asModule = def: lib.modules.setDefaultModuleLocation def.file def.value;
in
rec {
  submodule =
    modules:
    submoduleWith {
      modules = lib.toList modules;
      shorthandOnlyDefinesConfig = true;
    };

  submoduleWith =
    {
      modules,
      specialArgs ? { },
      shorthandOnlyDefinesConfig ? false,
      description ? null,
      class ? null,
    }@attrs:
    let
      # In a submodule a plain set is all config, names such as `options' included.
      shorthand =
        def:
        if builtins.isAttrs def.value && shorthandOnlyDefinesConfig == true then
          {
            _file = def.file;
            config = def.value;
          }
        else
          asModule def;

      evalWith =
        loc: more:
        lib.evalModules {
          inherit specialArgs class;
          prefix = loc;
          modules =
            modules
            ++ [ { _module.args.name = lib.mkOptionDefault (if loc == [ ] then "‹name›" else lib.last loc); } ]
            ++ more;
        };
    in
    mkOptionType {
      name = "submodule";
      description = if description == null then "submodule" else description;
      check = x: builtins.isAttrs x || lib.isFunction x || lib.types.path.check x;
      merge = loc: defs: (evalWith loc (map shorthand defs)).config;
      emptyValue.value = { };
      getSubOptions = prefix: (evalWith prefix [ ]).options;
      getSubModules = modules;
      substSubModules = m: submoduleWith (attrs // { modules = m; });
      functor = {
        name = "submodule";
        type = submoduleWith;
        wrapped = null;
        payload = {
          inherit
            modules
            specialArgs
            shorthandOnlyDefinesConfig
            description
            class
            ;
        };
        binOp = a: b: {
          modules = a.modules ++ b.modules;
          specialArgs = a.specialArgs // b.specialArgs;
          shorthandOnlyDefinesConfig =
            if a.shorthandOnlyDefinesConfig == null then
              b.shorthandOnlyDefinesConfig
            else
              a.shorthandOnlyDefinesConfig;
          description = if a.description == null then b.description else a.description;
          class = if a.class == null then b.class else a.class;
        };
      };
    };

  # A module as a value, to be imported somewhere else.
  deferredModule = mkOptionType {
    name = "deferredModule";
    description = "module";
    check = x: builtins.isAttrs x || lib.isFunction x || lib.types.path.check x;
    merge = loc: defs: {
      imports = map asModule defs;
    };
  };
}
