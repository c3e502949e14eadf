# Types made of other types.
{ lib }:
let
  inherit (builtins)
    isList
    isAttrs
    length
    head
    all
    ;
  inherit (lib.types) mkOptionType addCheck;
  inherit (lib.modules) mergeDefinitions;
  inherit (lib.options) mergeOneOption mergeEqualOption;

  # What joins two declarations of a type around one other type.
  wrapping = name: type: elemType: {
    inherit name type;
    wrapped = elemType;
    payload = null;
    binOp = a: b: null;
  };

  attrsWith =
    name: shown: lazy: self: elemType:
    mkOptionType {
      inherit name;
      description = "${shown} of ${elemType.description}";
      check = isAttrs;
      merge =
        loc: defs:
        let
          byName = builtins.zipAttrsWith (_: ds: ds) (
            map (
              def:
              builtins.mapAttrs (_: value: {
                inherit (def) file;
                inherit value;
              }) def.value
            ) defs
          );
          merged = builtins.mapAttrs (n: ds: mergeDefinitions (loc ++ [ n ]) elemType ds) byName;
        in
        if lazy then
          builtins.mapAttrs (_: m: m.optionalValue.value or elemType.emptyValue.value or m.mergedValue) merged
        else
          builtins.mapAttrs (_: m: m.mergedValue) (lib.filterAttrs (_: m: m.isDefined) merged);
      emptyValue.value = { };
      getSubOptions = prefix: elemType.getSubOptions (prefix ++ [ "<name>" ]);
      inherit (elemType) getSubModules;
      substSubModules = m: self (elemType.substSubModules m);
      functor = wrapping name self elemType;
      nestedTypes = { inherit elemType; };
    };
in
rec {
  attrsOf = attrsWith "attrsOf" "attribute set" false attrsOf;
  lazyAttrsOf = attrsWith "lazyAttrsOf" "lazy attribute set" true lazyAttrsOf;

  listOf =
    elemType:
    mkOptionType {
      name = "listOf";
      description = "list of ${elemType.description}";
      check = isList;
      merge =
        loc: defs:
        let
          element =
            n: m: def: value:
            (mergeDefinitions (loc ++ [ "[definition ${toString n}-entry ${toString m}]" ]) elemType [
              {
                inherit (def) file;
                inherit value;
              }
            ]).optionalValue;
        in
        map (x: x.value) (
          builtins.filter (x: x ? value) (
            lib.concatLists (lib.imap1 (n: def: lib.imap1 (m: element n m def) def.value) defs)
          )
        );
      emptyValue.value = [ ];
      getSubOptions = prefix: elemType.getSubOptions (prefix ++ [ "*" ]);
      inherit (elemType) getSubModules;
      substSubModules = m: listOf (elemType.substSubModules m);
      functor = wrapping "listOf" listOf elemType;
      nestedTypes = { inherit elemType; };
    };
  nonEmptyListOf =
    elemType:
    addCheck (listOf elemType) (l: l != [ ])
    // {
      description = "non-empty list of ${elemType.description}";
      emptyValue = { };
    };

  nullOr =
    elemType:
    mkOptionType {
      name = "nullOr";
      description = "null or ${elemType.description}";
      check = x: x == null || elemType.check x;
      merge =
        loc: defs:
        let
          nulls = builtins.filter (d: d.value == null) defs;
        in
        if length nulls == length defs then
          null
        else if nulls != [ ] then
          throw "The option `${lib.options.showOption loc}' is defined both null and not null, in ${
            lib.options.showFiles (lib.options.getFiles defs)
          }."
        else
          elemType.merge loc defs;
      emptyValue.value = null;
      inherit (elemType) getSubOptions getSubModules;
      substSubModules = m: nullOr (elemType.substSubModules m);
      functor = wrapping "nullOr" nullOr elemType;
      nestedTypes = { inherit elemType; };
    };

  either =
    t1: t2:
    mkOptionType {
      name = "either";
      description = "${t1.description} or ${t2.description}";
      check = x: t1.check x || t2.check x;
      merge =
        loc: defs:
        if all (d: t1.check d.value) defs then
          t1.merge loc defs
        else if all (d: t2.check d.value) defs then
          t2.merge loc defs
        else
          mergeOneOption loc defs;
      typeMerge =
        f:
        let
          left = t1.typeMerge (builtins.elemAt f.wrapped 0).functor;
          right = t2.typeMerge (builtins.elemAt f.wrapped 1).functor;
        in
        if f.name == "either" && left != null && right != null then either left right else null;
      functor = wrapping "either" either [
        t1
        t2
      ];
      nestedTypes = {
        left = t1;
        right = t2;
      };
    };
  oneOf = ts: lib.foldr either (lib.last ts) (lib.init ts);

  coercedTo =
    from: coerce: to:
    mkOptionType {
      name = "coercedTo";
      description = "${to.description} or ${from.description} convertible to it";
      check = x: (from.check x && to.check (coerce x)) || to.check x;
      merge =
        loc: defs:
        to.merge loc (
          map (d: d // { value = if from.check d.value then coerce d.value else d.value; }) defs
        );
      inherit (to) emptyValue getSubOptions getSubModules;
      substSubModules = m: coercedTo from coerce (to.substSubModules m);
      typeMerge = _: null;
      nestedTypes = {
        coercedType = from;
        finalType = to;
      };
    };

  enum =
    values:
    mkOptionType rec {
      name = "enum";
      description =
        let
          shown = map (v: if builtins.isString v then builtins.toJSON v else lib.generators.toPretty { } v) values;
        in
        if length values == 1 then
          "value ${head shown} (singular enum)"
        else
          "one of ${lib.concatStringsSep ", " shown}";
      check = x: builtins.elem x values;
      merge = mergeEqualOption;
      functor = {
        inherit name;
        type = enum;
        wrapped = null;
        payload = values;
        binOp = a: b: lib.unique (a ++ b);
      };
    };

  uniq = unique { message = ""; };
  unique =
    { message }:
    type:
    type
    // {
      name = "unique";
      merge = lib.options.mergeUniqueOption {
        inherit message;
        merge = type.merge;
      };
      functor = wrapping "unique" (unique { inherit message; }) type;
    };

  functionTo =
    elemType:
    mkOptionType {
      name = "functionTo";
      description = "function that evaluates to a(n) ${elemType.description}";
      check = lib.isFunction;
      merge = loc: defs: {
        __functor =
          _: arg:
          (mergeDefinitions (loc ++ [ "<function body>" ]) elemType (
            map (d: d // { value = d.value arg; }) defs
          )).mergedValue;
        __functionArgs = lib.mergeAttrsList (map (d: lib.functionArgs d.value) defs);
      };
      inherit (elemType) getSubModules;
      getSubOptions = prefix: elemType.getSubOptions (prefix ++ [ "<function body>" ]);
      substSubModules = m: functionTo (elemType.substSubModules m);
      functor = wrapping "functionTo" functionTo elemType;
    };
}
