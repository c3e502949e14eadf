# Sets that refer to their own final value, and the overlays on top of them.
rec {
  # The value that f maps to itself.
  fix =
    f:
    let
      x = f x;
    in
    x;

  fix' =
    f:
    let
      x = f x // {
        __unfix__ = f;
      };
    in
    x;

  converge =
    f: x:
    let
      next = f x;
    in
    if next == x then x else converge f next;

  # An overlay laid over a function of the final set.
  extends =
    overlay: f: final:
    let
      prev = f final;
    in
    prev // overlay final prev;

  composeExtensions =
    f: g: final: prev:
    let
      first = f final prev;
    in
    first // g final (prev // first);

  composeManyExtensions = builtins.foldl' composeExtensions (final: prev: { });

  makeExtensible = makeExtensibleWithCustomName "extend";

  makeExtensibleWithCustomName =
    extenderName: f:
    fix (
      self:
      f self
      // {
        ${extenderName} = overlay: makeExtensibleWithCustomName extenderName (extends overlay f);
      }
    );

  # An overlay from what people write in its place: a set, or one lambda.
  toExtension =
    f:
    if builtins.isFunction f then
      final: prev:
      let
        partial = f prev;
      in
      if builtins.isFunction partial then f final prev else partial
    else
      final: prev: f;
}
