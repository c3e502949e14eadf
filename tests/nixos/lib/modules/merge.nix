# Declarations and definitions of all modules, merged option by option.
{ lib }:
let
  inherit (builtins) head length all;
  inherit (lib.options) isOption showOption showFiles showDefs;
in
rec {
  # { options, config, unmatched }; unmatched are the definitions (with their
  # path below prefix) that no declaration takes.
  mergeModules =
    prefix: modules:
    let
      # Definitions of later modules come first, as in nixpkgs.
      ordered = lib.reverseList modules;
    in
    mergeTree prefix [ ] (map (m: { inherit (m) _file options; }) ordered) (
      lib.concatMap (
        m:
        map (value: {
          file = m._file;
          inherit value;
        }) (pushDownProperties m.config)
      ) ordered
    );

  mergeTree =
    prefix: path: declarations: definitions:
    let
      here = prefix ++ path;

      declaredBy = builtins.zipAttrsWith (_: ds: ds) (
        map (
          m:
          if !builtins.isAttrs m.options then
            throw "The declarations below `${showOption here}' in `${m._file}' must be a set of options, but are ${builtins.typeOf m.options}."
          else
            builtins.mapAttrs (name: options: {
              inherit (m) _file;
              inherit options;
              pos = builtins.unsafeGetAttrPos name m.options;
            }) m.options
        ) declarations
      );
      definedBy = builtins.zipAttrsWith (_: ds: ds) (
        map (
          def:
          if !builtins.isAttrs def.value then
            throw "In module `${def.file}', you're trying to define a value of type `${builtins.typeOf def.value}'\nrather than an attribute set for the option\n`${showOption here}'!\n\nThis usually happens if `${showOption here}' has option\ndefinitions inside that are not matched. Please check how to properly define\nthis option by e.g. referring to `man 5 configuration.nix'!"
          else
            builtins.mapAttrs (_: value: {
              inherit (def) file;
              inherit value;
            }) def.value
        ) definitions
      );

      matched = builtins.mapAttrs (
        name: decls:
        mergeName prefix (path ++ [ name ]) decls (definedBy.${name} or [ ])
      ) declaredBy;
      unmatchedNames = removeAttrs definedBy (builtins.attrNames declaredBy);
    in
    {
      options = builtins.mapAttrs (_: m: m.options) matched;
      config = builtins.mapAttrs (_: m: m.config) matched;
      unmatched =
        lib.concatMap (m: m.unmatched) (builtins.attrValues matched)
        ++ lib.concatLists (
          lib.mapAttrsToList (name: defs: map (def: def // { path = path ++ [ name ]; }) defs) unmatchedNames
        );
    };

  mergeName =
    prefix: path: decls: defs:
    let
      loc = prefix ++ path;
      byKind = builtins.partition (d: isOption d.options) decls;
      optionDecls = byKind.right;
      plainDecls = byKind.wrong;
      # Options declared below an option whose type is a submodule belong to it.
      asModules = map (d: {
        inherit (d) _file pos;
        options = lib.mkOption {
          type = lib.types.submoduleWith {
            modules = [ { inherit (d) _file options; } ];
            shorthandOnlyDefinesConfig = null;
          };
        };
      }) plainDecls;
      takesModules = d: (d.options.type.getSubModules or null) != null && d.options.type.name == "submodule";
      option =
        if plainDecls == [ ] then
          evalOptionValue loc (mergeOptionDecls loc optionDecls) defs
        else if all takesModules optionDecls then
          evalOptionValue loc (mergeOptionDecls loc (optionDecls ++ asModules)) defs
        else
          let
            opt = head optionDecls;
            below = head plainDecls;
          in
          throw "The option `${showOption loc}' in `${opt._file}' would be a parent of the following options, but its type `${
            opt.options.type.description or "<no description>"
          }' does not support nested options.\n- option(s) with prefix `${showOption loc}' in module `${below._file}'";
    in
    if optionDecls != [ ] then
      {
        options = option;
        config = option.value;
        unmatched = [ ];
      }
    else
      mergeTree prefix path decls (
        lib.concatMap (
          def:
          map (value: {
            inherit (def) file;
            inherit value;
          }) (pushDownProperties def.value)
        ) defs
      );

  # Several modules may declare one option if their declarations agree.
  mergeOptionDecls =
    loc: decls:
    let
      merge =
        res: decl:
        let
          twice = attr: decl.options ? ${attr} && res ? ${attr};
          type =
            if twice "type" then
              let
                both = res.type.typeMerge decl.options.type.functor;
              in
              if both == null then again else both
            else
              res.type or decl.options.type;
          again = throw "The option `${showOption loc}' in `${decl._file}' is already declared in ${showFiles res.declarations}.";
        in
        if twice "default" || twice "example" || twice "description" || twice "apply" then
          again
        else
          decl.options
          // res
          // {
            declarations = res.declarations ++ [ decl._file ];
            declarationPositions = res.declarationPositions ++ position decl;
          }
          // lib.optionalAttrs (res ? type || decl.options ? type) { inherit type; };
      position = decl: lib.optional (decl.pos != null) decl.pos;
      first = head decls;
    in
    builtins.foldl' merge (
      first.options
      // {
        inherit loc;
        declarations = [ first._file ];
        declarationPositions = position first;
      }
    ) (builtins.tail decls);

  evalOptionValue =
    loc: decl: defs:
    let
      opt = {
        type = lib.types.unspecified;
      }
      // decl;
      withDefault =
        lib.optional (opt ? default) {
          file = head opt.declarations;
          value = lib.mkOptionDefault opt.default;
        }
        ++ defs;
      merged =
        if opt.readOnly or false && length withDefault > 1 then
          throw "The option `${showOption loc}' is read-only, but it's set multiple times. Definition values:${
            showDefs (map (d: head (mergeDefinitions loc opt.type [ d ]).defsFinal) withDefault)
          }"
        else
          mergeDefinitions loc opt.type withDefault;
      value = if opt ? apply then opt.apply merged.mergedValue else merged.mergedValue;
    in
    opt
    // {
      value = builtins.addErrorContext "while evaluating the option `${showOption loc}':" value;
      inherit (merged) isDefined;
      inherit (merged.prioritized) highestPrio;
      definitions = map (d: d.value) merged.defsFinal;
      files = map (d: d.file) merged.defsFinal;
      definitionsWithLocations = merged.defsFinal;
      options = opt.type.getSubOptions or (_: { }) loc;
      __toString = _: showOption loc;
    };

  # What remains of the definitions after properties are taken off, and its merge.
  mergeDefinitions =
    loc: type: defs:
    rec {
      discharged = lib.concatMap (
        def:
        map (value: {
          inherit (def) file;
          inherit value;
        }) (builtins.addErrorContext "while evaluating definitions from `${def.file}':" (dischargeProperties def.value))
      ) defs;
      prioritized = filterOverrides' discharged;
      defsFinal =
        if lib.any (def: def.value._type or "" == "order") prioritized.values then
          sortProperties prioritized.values
        else
          prioritized.values;
      isDefined = defsFinal != [ ];
      mergedValue =
        let
          wrong = builtins.filter (def: !type.check def.value) defsFinal;
        in
        if !isDefined then
          type.emptyValue.value
            or (throw "The option `${showOption loc}' was accessed but has no value defined. Try setting the option.")
        else if wrong == [ ] then
          type.merge loc defsFinal
        else
          throw "A definition for option `${showOption loc}' is not of type `${type.description}'. Definition values:${showDefs wrong}";
      optionalValue = if isDefined then { value = mergedValue; } else { };
    };

  # mkIf and mkMerge moved below the names they cover, so that the names can
  # be listed without asking the conditions.
  pushDownProperties =
    config:
    if config._type or "" == "merge" then
      lib.concatMap pushDownProperties config.contents
    else if config._type or "" == "if" then
      map (builtins.mapAttrs (_: lib.mkIf config.condition)) (pushDownProperties config.content)
    else if config._type or "" == "override" then
      map (builtins.mapAttrs (_: lib.mkOverride config.priority)) (pushDownProperties config.content)
    else
      [ config ];

  dischargeProperties =
    def:
    if def._type or "" == "merge" then
      lib.concatMap dischargeProperties def.contents
    else if def._type or "" == "if" then
      if !builtins.isBool def.condition then
        throw "‘mkIf’ called with a non-Boolean condition"
      else if def.condition then
        dischargeProperties def.content
      else
        [ ]
    else
      [ def ];

  # Of definitions { file, value } those of the strongest priority.
  filterOverrides = defs: (filterOverrides' defs).values;
  filterOverrides' =
    defs:
    let
      isOverride = def: def.value._type or "" == "override";
      priority = def: if isOverride def then def.value.priority else lib.modules.defaultOverridePriority;
      highestPrio = builtins.foldl' (prio: def: lib.min (priority def) prio) weakest defs;
      weakest = 9999;
      strip = def: if isOverride def then def // { value = def.value.content; } else def;
    in
    {
      inherit highestPrio;
      values =
        if length defs == 1 then
          if priority (head defs) <= weakest then [ (strip (head defs)) ] else [ ]
        else
          map strip (builtins.filter (def: priority def == highestPrio) defs);
    };

  # mkBefore and mkAfter put in their places.
  sortProperties =
    defs:
    let
      unwrap =
        def:
        if def.value._type or "" == "order" then
          def
          // {
            value = def.value.content;
            inherit (def.value) priority;
          }
        else
          def;
      rank = def: def.priority or lib.modules.defaultOrderPriority;
    in
    builtins.sort (a: b: rank a < rank b) (map unwrap defs);
}
