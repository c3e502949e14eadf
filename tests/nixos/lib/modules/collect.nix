# From what people write as a module (path, function, set) to the list of all
# modules it imports, each in one shape: { _file, key, imports, options, config }.
{ lib }:
rec {
  setDefaultModuleLocation = file: module: {
    _file = file;
    imports = [ module ];
  };
  importApply = file: args: setDefaultModuleLocation file (import file args);

  # The list in the order of importing, each key once, disabled ones left out.
  # args holds what every module function may ask for.
  collectModules =
    modules: args: modulesPath:
    let
      structured = loadAll args lib.options.unknownModule "" modules;
      closure = builtins.genericClosure {
        startSet = structured;
        operator = entry: loadAll args entry.module._file entry.key entry.module.imports;
      };
      disabled = lib.concatMap (
        entry:
        map (d: {
          key = disabledKey modulesPath d;
          inherit (entry.module) _file;
        }) entry.module.disabledModules
      ) closure;
      isDisabled = key: lib.any (d: d.key == key) disabled;
      # What a disabled module imported goes with it, unless another imports it too.
      kept = builtins.genericClosure {
        startSet = builtins.filter (e: !isDisabled e.key) structured;
        operator =
          entry:
          builtins.filter (e: !isDisabled e.key) (
            loadAll args entry.module._file entry.key entry.module.imports
          );
      };
    in
    map (e: e.module) (if disabled == [ ] then closure else kept);

  disabledKey =
    modulesPath: d:
    if builtins.isAttrs d then
      d.key or (throw "disabledModules: a module without a `key' cannot be disabled")
    else if builtins.isString d && builtins.substring 0 1 d != "/" then
      "${toString modulesPath}/${d}"
    else
      toString d;

  # Modules without a key of their own are told apart by their parent and place.
  loadAll =
    args: parentFile: parentKey: modules:
    lib.imap1 (n: m: load args parentFile "${parentKey}:anon-${toString n}" m) modules;

  load =
    args: parentFile: anonymousKey: m:
    if lib.isFunction m then
      entry (structure parentFile anonymousKey (applyArgs anonymousKey m args))
    else if builtins.isAttrs m then
      if m._type or "module" == "module" then
        entry (structure parentFile anonymousKey m)
      else if m._type == "if" || m._type == "override" then
        load args parentFile anonymousKey { config = m; }
      else
        throw "Could not load a value as a module, because it is of type ${lib.strings.escapeNixString m._type}, in file ${toString parentFile}."
    else if builtins.isList m then
      load args parentFile anonymousKey { imports = m; }
    else if builtins.isPath m || builtins.isString m then
      loadFile args (toString m) (import m)
    else
      throw "Could not load a value as a module: expected a path, a function or a set, but got ${builtins.typeOf m}, in file ${toString parentFile}.";

  loadFile =
    args: file: m:
    entry (structure file file (if lib.isFunction m then applyArgs file m args else m));

  entry = module: {
    inherit (module) key;
    inherit module;
  };

  # Arguments are looked up when they are used, since they may come from
  # config._module.args, which the modules themselves define.
  applyArgs =
    key: f: args:
    let
      wanted = builtins.mapAttrs (
        name: _:
        builtins.addErrorContext "while evaluating the module argument `${name}' in \"${key}\":" (
          args.${name} or args.config._module.args.${name}
        )
      ) (lib.functionArgs f);
    in
    f (args // wanted);

  structure =
    file: key: m:
    if !builtins.isAttrs m then
      throw "Module `${key}' (${toString file}) must be a set, but is ${builtins.typeOf m}."
    else if m ? config || m ? options then
      let
        known = [
          "_class"
          "_file"
          "key"
          "disabledModules"
          "imports"
          "options"
          "config"
          "meta"
          "freeformType"
        ];
        stray = builtins.attrNames (removeAttrs m known);
      in
      if stray != [ ] then
        throw "Module `${key}' has an unsupported attribute `${builtins.head stray}'. This is caused by introducing a top-level `config' or `options' attribute. Add configuration attributes immediately on the top level instead, or move all of them (namely: ${toString stray}) into the explicit `config' attribute."
      else
        shape file key m {
          options = m.options or { };
          config = withFreeform m (withMeta m (m.config or { }));
        }
    else
      shape file key m {
        options = { };
        config = withFreeform m (
          removeAttrs m [
            "_class"
            "_file"
            "key"
            "disabledModules"
            "require"
            "imports"
            "freeformType"
          ]
        );
      };

  shape =
    file: key: m: body:
    {
      _file = toString (m._file or file);
      key = toString (m.key or key);
      disabledModules = m.disabledModules or [ ];
      imports = m.require or [ ] ++ m.imports or [ ];
    }
    // body;

  withMeta =
    m: config:
    if m ? meta then
      lib.mkMerge [
        config
        { inherit (m) meta; }
      ]
    else
      config;
  withFreeform =
    m: config:
    if m ? freeformType then
      lib.mkMerge [
        config
        { _module.freeformType = m.freeformType; }
      ]
    else
      config;
}
