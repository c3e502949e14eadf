{ lib }:
let
  inherit (builtins) head tail length;
in
rec {
  inherit (builtins)
    head
    tail
    length
    isList
    elemAt
    concatLists
    filter
    elem
    genList
    map
    concatMap
    foldl'
    partition
    groupBy
    any
    all
    sort
    ;

  singleton = x: [ x ];
  toList = x: if builtins.isList x then x else [ x ];
  forEach = xs: f: map f xs;
  replicate = n: x: builtins.genList (_: x) n;
  range = first: final: if first > final then [ ] else builtins.genList (n: first + n) (final - first + 1);
  optional = cond: x: if cond then [ x ] else [ ];
  optionals = cond: xs: if cond then xs else [ ];

  foldr =
    op: nul: list:
    let
      len = length list;
      go = n: if n == len then nul else op (builtins.elemAt list n) (go (n + 1));
    in
    go 0;
  fold = foldr;
  foldl =
    op: nul: list:
    let
      go = n: if n == -1 then nul else op (go (n - 1)) (builtins.elemAt list n);
    in
    go (length list - 1);

  imap0 = f: list: builtins.genList (n: f n (builtins.elemAt list n)) (length list);
  imap1 = f: list: builtins.genList (n: f (n + 1) (builtins.elemAt list n)) (length list);
  ifilter0 =
    pred: list:
    map (n: builtins.elemAt list n) (
      builtins.filter (n: pred n (builtins.elemAt list n)) (range 0 (length list - 1))
    );
  flatten = x: if builtins.isList x then builtins.concatMap flatten x else [ x ];
  remove = x: builtins.filter (y: y != x);
  count = pred: list: length (builtins.filter pred list);

  findFirstIndex =
    pred: default: list:
    let
      len = length list;
      go =
        n:
        if n == len then
          default
        else if pred (builtins.elemAt list n) then
          n
        else
          go (n + 1);
    in
    go 0;
  findFirst =
    pred: default: list:
    let
      index = findFirstIndex pred null list;
    in
    if index == null then default else builtins.elemAt list index;
  findSingle =
    pred: default: multiple: list:
    let
      found = builtins.filter pred list;
    in
    if found == [ ] then
      default
    else if length found == 1 then
      head found
    else
      multiple;

  take = n: sublist 0 n;
  drop = n: list: sublist n (length list) list;
  takeEnd = n: list: drop (lib.max 0 (length list - n)) list;
  dropEnd = n: list: take (lib.max 0 (length list - n)) list;
  sublist =
    start: count: list:
    let
      len = length list;
      n = lib.max 0 (lib.min count (len - start));
    in
    builtins.genList (i: builtins.elemAt list (i + start)) n;
  last =
    list:
    if list == [ ] then throw "lists.last: list must not be empty!" else builtins.elemAt list (length list - 1);
  init =
    list: if list == [ ] then throw "lists.init: list must not be empty!" else take (length list - 1) list;
  reverseList =
    list:
    let
      len = length list;
    in
    builtins.genList (n: builtins.elemAt list (len - n - 1)) len;

  hasPrefix = prefix: list: take (length prefix) list == prefix;
  removePrefix =
    prefix: list:
    if hasPrefix prefix list then
      drop (length prefix) list
    else
      throw "lists.removePrefix: First argument is not a list prefix of the second argument";

  zipListsWith =
    f: a: b:
    builtins.genList (n: f (builtins.elemAt a n) (builtins.elemAt b n)) (lib.min (length a) (length b));
  zipLists = zipListsWith (fst: snd: { inherit fst snd; });
  crossLists = f: builtins.foldl' (fs: args: builtins.concatMap (f: map f args) fs) [ f ];
  intersectLists = a: builtins.filter (x: builtins.elem x a);
  subtractLists = a: builtins.filter (x: !builtins.elem x a);
  mutuallyExclusive = a: b: length a == 0 || !builtins.any (x: builtins.elem x a) b;
  unique = builtins.foldl' (acc: x: if builtins.elem x acc then acc else acc ++ [ x ]) [ ];
  uniqueStrings = list: builtins.attrNames (builtins.groupBy lib.id list);
  allUnique = list: length (unique list) == length list;
  sortOn =
    f: list:
    map (x: x.value) (
      builtins.sort (a: b: a.key < b.key) (
        map (value: {
          inherit value;
          key = f value;
        }) list
      )
    );
  compareLists =
    cmp: a: b:
    if a == [ ] then
      (if b == [ ] then 0 else -1)
    else if b == [ ] then
      1
    else
      let
        rel = cmp (head a) (head b);
      in
      if rel == 0 then compareLists cmp (tail a) (tail b) else rel;
  naturalSort =
    let
      # Runs of digits compare as numbers, the rest as text.
      parts = s: map (p: if builtins.isList p then lib.toIntBase10 (head p) else p) (builtins.split "([0-9]+)" s);
      compare = a: b: if builtins.isInt a == builtins.isInt b then lib.compare a b else 0;
    in
    list: builtins.sort (a: b: compareLists compare (parts a) (parts b) < 0) list;

  # { result } in an order that respects before, or { cycle, loops }.
  toposort =
    before: list:
    let
      ready = x: others: !builtins.any (y: before y x) others;
      without = i: xs: take i xs ++ drop (i + 1) xs;
      go =
        done: rest:
        let
          i = findFirstIndex (
            n: ready (builtins.elemAt rest n) (without n rest)
          ) null (range 0 (length rest - 1));
        in
        if rest == [ ] then
          { result = done; }
        else if i == null then
          {
            cycle = rest;
            loops = rest;
          }
        else
          go (done ++ [ (builtins.elemAt rest i) ]) (without i rest);
    in
    go [ ] list;
}
