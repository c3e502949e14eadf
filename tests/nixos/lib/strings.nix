{ lib }:
let
  inherit (builtins) substring stringLength;

  lower = lib.stringToCharacters "abcdefghijklmnopqrstuvwxyz";
  upper = lib.stringToCharacters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
in
rec {
  inherit (builtins)
    compareVersions
    elem
    elemAt
    filter
    fromJSON
    head
    isInt
    isList
    isAttrs
    isPath
    isString
    match
    parseDrvName
    readFile
    replaceStrings
    split
    storeDir
    stringLength
    substring
    tail
    toJSON
    typeOf
    unsafeDiscardStringContext
    concatStringsSep
    ;

  lowerChars = lower;
  upperChars = upper;
  toLower = builtins.replaceStrings upper lower;
  toUpper = builtins.replaceStrings lower upper;
  toSentenceCase = s: toUpper (substring 0 1 s) + toLower (substring 1 (stringLength s) s);

  join = builtins.concatStringsSep;
  concatStrings = builtins.concatStringsSep "";
  concatMapStrings = f: list: concatStrings (map f list);
  concatMapStringsSep =
    sep: f: list:
    builtins.concatStringsSep sep (map f list);
  concatImapStrings = f: list: concatStrings (lib.imap1 f list);
  concatImapStringsSep =
    sep: f: list:
    builtins.concatStringsSep sep (lib.imap1 f list);
  concatMapAttrsStringSep =
    sep: f: attrs:
    builtins.concatStringsSep sep (lib.mapAttrsToList f attrs);
  concatLines = concatMapStrings (s: s + "\n");
  intersperse =
    sep: list:
    if list == [ ] || builtins.length list == 1 then
      list
    else
      lib.tail (
        builtins.concatMap (x: [
          sep
          x
        ]) list
      );
  replicate = n: s: concatStrings (lib.lists.replicate n s);
  optionalString = cond: s: if cond then s else "";

  hasPrefix = prefix: s: substring 0 (stringLength prefix) s == prefix;
  hasSuffix =
    suffix: s:
    let
      len = stringLength s;
      cut = stringLength suffix;
    in
    len >= cut && substring (len - cut) len s == suffix;
  hasInfix = infix: s: builtins.length (builtins.split (escapeRegex infix) s) > 1;
  removePrefix =
    prefix: s: if hasPrefix prefix s then substring (stringLength prefix) (stringLength s) s else s;
  removeSuffix =
    suffix: s: if hasSuffix suffix s then substring 0 (stringLength s - stringLength suffix) s else s;
  trim = trimWith {
    start = true;
    end = true;
  };
  trimWith =
    {
      start ? false,
      end ? false,
    }:
    s:
    let
      cutStart = builtins.head (builtins.match "[ \t\r\n]*(.*)" s);
      cutEnd = builtins.match "(.*[^ \t\r\n])[ \t\r\n]*";
      afterStart = if start then cutStart else s;
      kept = cutEnd afterStart;
    in
    if !end then
      afterStart
    else if kept == null then
      ""
    else
      builtins.head kept;

  stringToCharacters = s: builtins.genList (p: substring p 1 s) (stringLength s);
  stringAsChars = f: s: concatStrings (map f (stringToCharacters s));
  splitString =
    sep: s:
    let
      parts = builtins.filter builtins.isString (
        builtins.split (escapeRegex (toString sep)) (toString s)
      );
    in
    map (addContextFrom s) parts;
  charToInt =
    c:
    (builtins.fromJSON ''{"\t":9,"\n":10,"\r":13}'').${c}
      or (lib.findFirstIndex (x: x == c) (throw "charToInt: not an ASCII character") (
        lib.stringToCharacters " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"
      ) + 32);
  addContextFrom = src: target: substring 0 0 src + target;

  escape = list: builtins.replaceStrings list (map (c: "\\${c}") list);
  escapeC =
    list:
    builtins.replaceStrings list (
      map (c: "\\x${toLower (fixedWidthString 2 "0" (lib.toHexString (charToInt c)))}") list
    );
  escapeRegex = escape (stringToCharacters "\\[{()^$?*+|.");
  escapeShellArg =
    arg:
    let
      s = toString arg;
    in
    if builtins.match "[[:alnum:],._+:@%/-]+" s == null then
      "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] s}'"
    else
      s;
  escapeShellArgs = concatMapStringsSep " " escapeShellArg;
  isValidPosixName = name: builtins.match "[a-zA-Z_][a-zA-Z0-9_]*" name != null;
  toShellVar =
    name: value:
    if builtins.isAttrs value && !isStringLike value then
      "declare -A ${name}=(${
        concatMapAttrsStringSep " " (n: v: "[${escapeShellArg n}]=${escapeShellArg v}") value
      })"
    else if builtins.isList value then
      "declare -a ${name}=(${escapeShellArgs value})"
    else
      "${name}=${escapeShellArg value}";
  toShellVars = vars: concatMapAttrsStringSep "\n" toShellVar vars;
  escapeNixString = s: escape [ "$" ] (builtins.toJSON s);
  escapeNixIdentifier =
    s: if builtins.match "[a-zA-Z_][a-zA-Z0-9_'-]*" s != null then s else escapeNixString s;
  escapeXML =
    builtins.replaceStrings [ "\"" "'" "<" ">" "&" ] [ "&quot;" "&apos;" "&lt;" "&gt;" "&amp;" ];
  sanitizeDerivationName =
    s:
    let
      clean = concatMapStrings (p: if builtins.isList p then "-" else p) (
        builtins.split "[^[:alnum:]+._?=-]+" (builtins.unsafeDiscardStringContext s)
      );
      noDot = builtins.head (builtins.match "\\.*(.*)" clean);
    in
    if noDot == "" then "unknown" else substring 0 207 noDot;

  makeSearchPath =
    sub: paths: builtins.concatStringsSep ":" (map (p: "${p}/${sub}") (builtins.filter (p: p != null) paths));
  makeSearchPathOutput =
    output: sub: pkgs:
    makeSearchPath sub (map (lib.getOutput output) pkgs);
  makeBinPath = makeSearchPathOutput "bin" "bin";
  makeLibraryPath = makeSearchPathOutput "lib" "lib";
  normalizePath = s: concatMapStrings (p: if builtins.isList p then "/" else p) (builtins.split "/+" s);
  fileContents = file: removeSuffix "\n" (builtins.readFile file);
  isStringLike = x: builtins.isString x || builtins.isPath x || x ? outPath || x ? __toString;
  isConvertibleWithToString =
    x:
    isStringLike x
    || builtins.elem (builtins.typeOf x) [
      "null"
      "int"
      "float"
      "bool"
    ]
    || (builtins.isList x && builtins.all isConvertibleWithToString x);
  isStorePath =
    x:
    isStringLike x
    && (
      let
        s = toString x;
      in
      substring 0 1 s == "/" && dirOf s == builtins.storeDir
    );

  fixedWidthString =
    width: filler: s:
    let
      missing = width - stringLength s;
    in
    if missing < 0 then
      throw "fixedWidthString: requested string length (${toString width}) must not be shorter than actual length (${toString (stringLength s)})"
    else
      replicate missing filler + s;
  fixedWidthNumber = width: n: fixedWidthString width "0" (toString n);
  toIntBase10 =
    s:
    let
      digits = builtins.match "[[:space:]]*(-?)0*([[:digit:]]+)[[:space:]]*" s;
    in
    if digits == null then
      throw "toIntBase10: Could not convert ${escapeNixString s} to int."
    else
      builtins.fromJSON (lib.concatStrings digits);
  toInt =
    s:
    if builtins.match "[[:space:]]*-?0[[:digit:]]+[[:space:]]*" s != null then
      throw "toInt: Ambiguity in interpretation of ${escapeNixString s} between octal and zero padded integer."
    else if builtins.match "[[:space:]]*-?[[:digit:]]+[[:space:]]*" s == null then
      throw "toInt: Could not convert ${escapeNixString s} to int."
    else
      toIntBase10 s;

  versionOlder = a: b: builtins.compareVersions b a == 1;
  versionAtLeast = a: b: !versionOlder a b;
  getName =
    x: if builtins.isString x then (builtins.parseDrvName x).name else x.pname or (builtins.parseDrvName x.name).name;
  getVersion =
    x:
    if builtins.isString x then (builtins.parseDrvName x).version else x.version or (builtins.parseDrvName x.name).version;
  nameFromURL =
    url: sep:
    let
      file = lib.last (splitString "/" url);
      name = builtins.head (splitString sep file);
    in
    assert name != file;
    name;
  enableFeature = flag: feature: "--${if flag then "enable" else "disable"}-${feature}";
  withFeature = flag: feature: "--${if flag then "with" else "without"}-${feature}";
}
