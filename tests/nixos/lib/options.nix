# Declarations of options, the ways of merging definitions, and the words
# errors use for both.
{ lib }:
let
  inherit (builtins) head length all;

  prioritySuggestion = "Use `lib.mkForce value` or `lib.mkDefault value` to change the priority on any of these definitions.";
in
rec {
  isOption = value: value._type or null == "option";

  mkOption =
    {
      default ? null,
      defaultText ? null,
      example ? null,
      description ? null,
      type ? null,
      apply ? null,
      internal ? null,
      visible ? null,
      readOnly ? null,
      relatedPackages ? null,
    }@declared:
    declared // { _type = "option"; };

  mkEnableOption =
    name:
    mkOption {
      default = false;
      example = true;
      description = "Whether to enable ${name}.";
      type = lib.types.bool;
    };

  mkPackageOption =
    pkgs: name:
    {
      nullable ? false,
      default ? name,
      example ? null,
      extraDescription ? "",
      pkgsText ? "pkgs",
    }:
    let
      path = lib.toList default;
      shownName = if builtins.isList name then lib.last name else name;
    in
    mkOption (
      {
        description = "The ${shownName} package to use. ${extraDescription}";
        type = if nullable then lib.types.nullOr lib.types.package else lib.types.package;
      }
      // lib.optionalAttrs (default != null) {
        default = lib.attrByPath path (throw "${lib.concatStringsSep "." path} cannot be found in ${pkgsText}") pkgs;
        defaultText = literalExpression "${pkgsText}.${lib.concatStringsSep "." path}";
      }
    );

  mkSinkUndeclaredOptions =
    attrs:
    mkOption (
      {
        internal = true;
        visible = false;
        default = false;
        description = "Sink for option definitions.";
        type = lib.mkOptionType {
          name = "sink";
          check = _: true;
          merge = _: _: false;
        };
        apply = _: throw "Option value is not readable because the option is not declared.";
      }
      // attrs
    );

  literalExpression = text: {
    _type = "literalExpression";
    inherit text;
  };
  literalMD = text: {
    _type = "literalMD";
    inherit text;
  };

  getValues = map (d: d.value);
  getFiles = map (d: d.file);

  mergeOneOption = mergeUniqueOption { message = ""; };
  mergeUniqueOption =
    {
      message,
      merge ? (loc: defs: (head defs).value),
    }:
    loc: defs:
    if length defs == 1 then
      merge loc defs
    else
      throw "The option `${showOption loc}' is defined multiple times while it's expected to be unique.\n${message}\nDefinition values:${showDefs defs}\n${prioritySuggestion}";

  mergeEqualOption =
    loc: defs:
    let
      first = head defs;
      step =
        _: def:
        if def.value == first.value then
          first.value
        else
          throw "The option `${showOption loc}' has conflicting definition values:${
            showDefs [
              first
              def
            ]
          }\n${prioritySuggestion}";
    in
    if length defs == 1 then first.value else builtins.foldl' step first.value (builtins.tail defs);

  mergeDefaultOption =
    loc: defs:
    let
      values = getValues defs;
    in
    if length defs == 1 then
      head values
    else if all lib.isFunction values then
      x: mergeDefaultOption loc (map (d: d // { value = d.value x; }) defs)
    else if all builtins.isList values then
      lib.concatLists values
    else if all builtins.isAttrs values then
      lib.mergeAttrsList values
    else if all builtins.isBool values then
      builtins.any lib.id values
    else if all builtins.isString values then
      lib.concatStrings values
    else
      throw "Cannot merge definitions of `${showOption loc}'. Definition values:${showDefs defs}";

  showOption =
    parts:
    let
      plain = part: builtins.match "[a-zA-Z_][a-zA-Z0-9_'-]*|<.*>|\\*" part != null;
      show = part: if plain part then part else lib.strings.escapeNixString part;
    in
    lib.concatMapStringsSep "." show parts;
  showFiles = files: lib.concatMapStringsSep " and " (file: "`${file}'") files;

  # One line per definition: the file, and the value where it can be shown.
  showDefs = lib.concatMapStrings (
    def:
    let
      shown = builtins.tryEval (
        lib.generators.toPretty { } (
          lib.generators.withRecursion {
            depthLimit = 10;
            throwOnDepthLimit = false;
          } def.value
        )
      );
      lines = builtins.filter builtins.isString (builtins.split "\n" shown.value);
      text = lib.concatStringsSep "\n    " (lib.take 5 lines ++ lib.optional (length lines > 5) "...");
      value =
        if !shown.success then
          ""
        else if length lines > 1 then
          ":\n    ${text}"
        else
          ": ${text}";
    in
    "\n- In `${def.file}'${value}"
  );

  unknownModule = "<unknown-file>";
}
