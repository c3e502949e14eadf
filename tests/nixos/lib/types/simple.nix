# Types of plain values.
{ lib }:
let
  inherit (lib.types) mkOptionType addCheck;
  inherit (lib.options) mergeEqualOption mergeOneOption getValues;

  simple =
    name: description: check:
    mkOptionType {
      inherit name description check;
      merge = mergeEqualOption;
    };

  between =
    lowest: highest:
    assert lowest <= highest;
    addCheck types.int (x: x >= lowest && x <= highest)
    // {
      name = "intBetween";
      description = "integer between ${toString lowest} and ${toString highest} (both inclusive)";
    };
  sized =
    bits: lowest: highest:
    between lowest highest
    // {
      name = "int${toString bits}";
      description = "${toString bits} bit integer; between ${toString lowest} and ${toString highest} (both inclusive)";
    };
  unsignedSized =
    bits: highest:
    between 0 highest
    // {
      name = "unsignedInt${toString bits}";
      description = "${toString bits} bit unsigned integer; between 0 and ${toString highest} (both inclusive)";
    };

  types = rec {
    raw = simple "raw" "raw value" (_: true) // {
      merge = mergeOneOption;
    };
    unspecified = mkOptionType {
      name = "unspecified";
      description = "unspecified value";
    };
    anything = mkOptionType {
      name = "anything";
      description = "anything";
      merge = mergeAnything;
    };

    bool = simple "bool" "boolean" builtins.isBool;
    boolByOr = bool // {
      name = "boolByOr";
      description = "boolean (merged using or)";
      merge = _: defs: lib.any (d: d.value) defs;
    };

    int = simple "int" "signed integer" builtins.isInt;
    ints = {
      inherit between;
      unsigned = addCheck int (x: x >= 0) // {
        name = "unsignedInt";
        description = "unsigned integer, meaning >=0";
      };
      positive = addCheck int (x: x > 0) // {
        name = "positiveInt";
        description = "positive integer, meaning >0";
      };
      u8 = unsignedSized 8 255;
      u16 = unsignedSized 16 65535;
      u32 = unsignedSized 32 4294967295;
      s8 = sized 8 (-128) 127;
      s16 = sized 16 (-32768) 32767;
      s32 = sized 32 (-2147483648) 2147483647;
    };
    port = ints.u16;
    float = simple "float" "floating point number" builtins.isFloat;
    number = lib.types.either int float;
    numbers = {
      between =
        lowest: highest:
        addCheck number (x: x >= lowest && x <= highest)
        // {
          name = "numberBetween";
          description = "integer or floating point number between ${toString lowest} and ${toString highest} (both inclusive)";
        };
      nonnegative = addCheck number (x: x >= 0) // {
        name = "numberNonnegative";
        description = "nonnegative integer or floating point number, meaning >=0";
      };
      positive = addCheck number (x: x > 0) // {
        name = "numberPositive";
        description = "positive integer or floating point number, meaning >0";
      };
    };

    str = simple "str" "string" builtins.isString;
    nonEmptyStr =
      simple "nonEmptyStr" "non-empty string"
        (x: builtins.isString x && builtins.match "[ \t\n]*" x == null);
    singleLineStr =
      simple "singleLineStr" "(optionally newline-terminated) single-line string"
        (x: builtins.isString x && builtins.match "[^\n\r]*\n?" x != null)
      // {
        merge = loc: defs: lib.removeSuffix "\n" (mergeEqualOption loc defs);
      };
    passwdEntry =
      entry:
      addCheck entry (x: !lib.hasInfix ":" (toString x) && !lib.hasInfix "\n" (toString x))
      // {
        name = "passwdEntry ${entry.name}";
        description = "${entry.description}, not containing newlines or colons";
      };
    strMatching =
      pattern:
      simple "strMatching ${lib.strings.escapeNixString pattern}" "string matching the pattern ${pattern}"
        (x: builtins.isString x && builtins.match pattern x != null);

    separatedString =
      sep:
      mkOptionType rec {
        name = "separatedString";
        description = "strings concatenated with ${builtins.toJSON sep}";
        check = builtins.isString;
        merge = _: defs: lib.concatStringsSep sep (getValues defs);
        functor = {
          inherit name;
          type = separatedString;
          wrapped = null;
          payload = sep;
          binOp = a: b: if a == b then a else null;
        };
      };
    lines = separatedString "\n";
    commas = separatedString ",";
    envVar = separatedString ":";

    attrs = mkOptionType {
      name = "attrs";
      description = "attribute set";
      check = builtins.isAttrs;
      merge = _: defs: builtins.foldl' (all: def: all // def.value) { } defs;
      emptyValue.value = { };
    };

    package =
      simple "package" "package" (x: lib.isDerivation x || lib.isStorePath x)
      // {
        merge =
          loc: defs:
          let
            pkg = mergeOneOption loc defs;
          in
          if builtins.isPath pkg || (builtins.isString pkg && !builtins.hasContext pkg) then
            lib.toDerivation pkg
          else
            pkg;
      };
    shellPackage = package // {
      check = x: lib.isDerivation x && x ? shellPath;
    };
    pkgs = addCheck (unspecified // {
      name = "pkgs";
      description = "Nixpkgs package set";
      merge = mergeOneOption;
    }) (x: x._type or null == "pkgs");

    path = simple "path" "absolute path" (x: lib.isStringLike x && builtins.substring 0 1 (toString x) == "/");
    pathInStore = simple "pathInStore" "path in the Nix store" (
      x: lib.isStringLike x && builtins.match "${builtins.storeDir}/[^.].*" (toString x) != null
    );
    externalPath = addCheck path (
      x: !lib.hasPrefix builtins.storeDir (toString x) && !builtins.hasContext (toString x)
    );

    optionType = simple "optionType" "optionType" lib.types.isOptionType // {
      merge = mergeOneOption;
    };
  };

  # Sets merge by name; everything else must agree.
  mergeAnything =
    loc: defs:
    let
      values = getValues defs;
    in
    if builtins.length defs == 1 && !builtins.isAttrs (builtins.head values) then
      builtins.head values
    else if builtins.all (v: builtins.isAttrs v && !lib.isStringLike v) values then
      (lib.types.lazyAttrsOf types.anything).merge loc defs
    else if builtins.all lib.isFunction values then
      x: mergeAnything loc (map (d: d // { value = d.value x; }) defs)
    else if builtins.all builtins.isList values then
      if builtins.length values == 1 then builtins.head values else mergeOneOption loc defs
    else
      mergeEqualOption loc defs;
in
types
