# Values written out in the formats of configuration files.
{ lib }:
rec {
  mkValueStringDefault =
    _: v:
    if builtins.isBool v then
      lib.boolToString v
    else if v == null then
      "null"
    else if builtins.isList v || (builtins.isAttrs v && !lib.isStringLike v) || lib.isFunction v then
      throw "generators.mkValueStringDefault: ${builtins.typeOf v} not supported: ${toPretty { } v}"
    else
      toString v;
  mkKeyValueDefault =
    {
      mkValueString ? mkValueStringDefault { },
    }:
    sep: k: v:
    "${lib.escape [ sep ] k}${sep}${mkValueString v}";

  toKeyValue =
    {
      mkKeyValue ? mkKeyValueDefault { } "=",
      listsAsDuplicateKeys ? false,
      indent ? "",
    }:
    attrs:
    let
      line = k: v: indent + mkKeyValue k v + "\n";
      lines = k: v: if listsAsDuplicateKeys then map (line k) (lib.toList v) else [ (line k v) ];
    in
    lib.concatStrings (lib.concatLists (lib.mapAttrsToList lines attrs));
  toINI =
    {
      mkSectionName ? (name: lib.escape [ "[" "]" ] name),
      mkKeyValue ? mkKeyValueDefault { } "=",
      listsAsDuplicateKeys ? false,
    }:
    sections:
    lib.concatStringsSep "\n" (
      lib.mapAttrsToList (
        name: attrs:
        "[${mkSectionName name}]\n" + toKeyValue { inherit mkKeyValue listsAsDuplicateKeys; } attrs
      ) sections
    );
  toJSON = { }: builtins.toJSON;
  toYAML = toJSON;

  # Nix syntax for people; functions and derivations by what they are.
  toPretty =
    {
      multiline ? true,
      indent ? "",
      allowPrettyValues ? false,
    }:
    let
      go =
        indent: v:
        let
          break = if multiline then "\n${indent}  " else " ";
          close = if multiline then "\n${indent}" else " ";
          deeper = go (indent + "  ");
          args = builtins.attrNames (lib.functionArgs v);
        in
        if v == null then
          "null"
        else if builtins.isString v then
          lib.strings.escapeNixString v
        else if builtins.isBool v then
          lib.boolToString v
        else if builtins.isInt v || builtins.isFloat v || builtins.isPath v then
          toString v
        else if builtins.isList v then
          if v == [ ] then "[ ]" else "[${break}${lib.concatMapStringsSep break deeper v}${close}]"
        else if lib.isFunction v then
          if args == [ ] then "<function>" else "<function, args: {${lib.concatStringsSep ", " args}}>"
        else if allowPrettyValues && v ? __pretty then
          v.__pretty v.val
        else if lib.isDerivation v then
          "<derivation ${v.name or "???"}>"
        else if v == { } then
          "{ }"
        else
          "{${break}${
            lib.concatStringsSep break (
              lib.mapAttrsToList (k: x: "${lib.strings.escapeNixIdentifier k} = ${deeper x};") v
            )
          }${close}}";
    in
    go indent;

  # Cuts deep values off, which may still be many where a set is wide: that of a
  # package set takes more memory than there is, as in nixpkgs.
  withRecursion =
    {
      depthLimit,
      throwOnDepthLimit ? true,
    }:
    let
      special = [ "__functor" "__functionArgs" "__toString" "__pretty" ];
      cut =
        depth: v:
        if depth <= depthLimit then
          v
        else if throwOnDepthLimit then
          throw "Exceeded maximum eval-depth limit of ${toString depthLimit}"
        else
          "<unevaluated>";
      go =
        depth: v:
        let
          below = v: go (depth + 1) (cut (depth + 1) v);
        in
        if builtins.isAttrs v then
          builtins.mapAttrs (name: if builtins.elem name special then lib.id else below) v
        else if builtins.isList v then
          map below v
        else
          cut (depth + 1) v;
    in
    go 0;
}
