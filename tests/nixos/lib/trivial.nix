{ lib }:
rec {
  inherit (builtins)
    pathExists
    readFile
    isBool
    isInt
    isFloat
    add
    sub
    lessThan
    seq
    deepSeq
    genericClosure
    bitAnd
    bitOr
    bitXor
    ;

  # Options and functions that appear or vanish between releases are told
  # apart by this; 22.11 is where nixpkgs.config became typed.
  version = "26.05pre-small";
  release = "26.05";
  nixpkgsVersion = version;
  isInOldestRelease = oldest: 2511 >= oldest;
  oldestSupportedReleaseIsAtLeast = isInOldestRelease;

  id = x: x;
  const = x: y: x;
  pipe = builtins.foldl' (x: f: f x);
  concat = x: y: x ++ y;
  or = x: y: x || y;
  and = x: y: x && y;
  xor = x: y: x != y;
  bitNot = builtins.sub (-1);
  flip =
    f: a: b:
    f b a;
  mapNullable = f: a: if a == null then a else f a;
  defaultTo = default: maybe: if maybe == null then default else maybe;
  mergeAttrs = x: y: x // y;
  boolToString = b: if b then "true" else "false";
  boolToYesNo = b: if b then "yes" else "no";

  min = x: y: if x < y then x else y;
  max = x: y: if x > y then x else y;
  mod = base: int: base - (int * (builtins.div base int));
  compare =
    a: b:
    if a < b then
      -1
    else if a > b then
      1
    else
      0;
  splitByAndCompare =
    p: yes: no: a: b:
    if p a then
      (if p b then yes a b else -1)
    else if p b then
      1
    else
      no a b;

  importJSON = path: builtins.fromJSON (builtins.readFile path);
  importTOML = path: builtins.fromTOML (builtins.readFile path);
  inPureEvalMode = !builtins ? currentSystem;
  inNixShell = false;

  # A set with __functor is a function as well; setFunctionArgs makes such sets.
  isFunction = f: builtins.isFunction f || (f ? __functor && isFunction (f.__functor f));
  functionArgs =
    f:
    if f ? __functor then
      f.__functionArgs or (functionArgs (f.__functor f))
    else
      builtins.functionArgs f;
  setFunctionArgs = f: args: {
    __functor = self: f;
    __functionArgs = args;
  };
  toFunction = v: if isFunction v then v else k: v;
  mirrorFunctionArgs = f: g: setFunctionArgs g (functionArgs f);

  warn = msg: builtins.trace "evaluation warning: ${msg}";
  warnIf = cond: msg: if cond then warn msg else id;
  warnIfNot = cond: msg: if cond then id else warn msg;
  info = msg: builtins.trace "INFO: ${msg}";
  showWarnings = warnings: value: lib.foldr warn value warnings;
  throwIf = cond: msg: if cond then throw msg else id;
  throwIfNot = cond: msg: if cond then id else throw msg;
  checkListOfEnum =
    msg: valid: given:
    let
      unexpected = lib.subtractLists valid given;
    in
    throwIfNot (unexpected == [ ])
      "${msg}: ${toString unexpected} unexpected; valid ones: ${toString valid}";

  # Digits of an int, most significant first.
  toBaseDigits =
    base: i:
    let
      go = n: if n < base then [ n ] else go (n / base) ++ [ (mod n base) ];
    in
    go i;
  toHexString =
    i: lib.concatMapStrings (d: builtins.substring d 1 "0123456789ABCDEF") (toBaseDigits 16 i);
}
