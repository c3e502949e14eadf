# Packages as functions of other packages.
{ lib }:
rec {
  makeOverridable =
    f:
    lib.mirrorFunctionArgs f (
      args:
      let
        result = f args;
        with' = changes: makeOverridable f (args // (if lib.isFunction changes then changes args else changes));
      in
      if builtins.isAttrs result then
        result
        // {
          override = with';
        }
      else
        result
    );

  callPackageWith =
    autoArgs: fn: args:
    let
      f = if lib.isFunction fn then fn else import fn;
    in
    makeOverridable f (builtins.intersectAttrs (lib.functionArgs f) autoArgs // args);

  makeScope =
    newScope: f:
    let
      self = f self // {
        newScope = scope: newScope (self // scope);
        callPackage = self.newScope { };
        overrideScope = g: makeScope newScope (lib.extends g f);
        packages = f;
      };
    in
    self;
}
