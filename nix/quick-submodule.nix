# types.submodule at a fraction of its cost, which is an evalModules for each value,
# for options with plain values. A value that is written plainly, as sets of known
# options, takes the short way. Whatever is odd about it, or about one of its
# options, is left to the real type, so that priorities, conditions, functions and
# errors are the module system's own. A second declaration of the option gets the
# real type, and documentation is made from it.
#   module  declares the options. Each has a default, and a type that takes one
#           string, number, boolean, path or null, or one list or set of strings, as
#           it is
#   own     name: config: the defaults that depend on either
{
  lib,
  module,
  own,
}:
let
  inherit (builtins)
    addErrorContext
    all
    attrNames
    attrValues
    head
    isAttrs
    isList
    isString
    length
    mapAttrs
    ;

  # The real type comes back with its modules wrapped; this tells ours.
  marked = {
    __functor = _: module;
    __functionArgs = builtins.functionArgs module; # which nixpkgs before 21.11 asks for
    quickSubmodule = true;
  };
  isOurs =
    m:
    isAttrs m
    && (
      m.quickSubmodule or false
      || removeAttrs m [ "_file" "imports" ] == { } && length (m.imports or [ ]) == 1 && isOurs (head m.imports)
    );

  # No default is asked for that would need these.
  inherit (module {
    inherit lib;
    name = throw "quick-submodule.nix: a default that needs the name belongs to own";
    config = throw "quick-submodule.nix: a default that needs the config belongs to own";
  }) options;

  shared = removeAttrs options (attrNames (own null null));
  finish = option: value: if option ? apply then option.apply value else value;
  defaults = mapAttrs (_: option: finish option option.default) shared;
  settable = builtins.filter (name: !(options.${name}.readOnly or false)) (attrNames options);

  # Whether it needs neither merging nor a better error. A set may be an mkIf, and
  # so may what is in a list.
  isPlain =
    option: value:
    if isAttrs value then
      option.type.name == "attrsOf" && !(value ? _type) && all isString (attrValues value)
    else
      option.type.check value && (!isList value || all isString value);

  isPlainly = def: isAttrs def.value && removeAttrs def.value settable == { };

  # The value of definitions, from the one that the real type makes of them.
  quickly =
    loc: defs: real:
    let
      at =
        name: addErrorContext "while evaluating the option `${lib.showOption (loc ++ [ name ])}':";
      definedIn =
        name:
        addErrorContext "while evaluating definitions from `${
          (head (builtins.filter (def: def.value ? ${name}) defs)).file
        }':";
      take =
        name: value: plain:
        if plain then finish options.${name} value else real.${name};

      byDefault = name: value: take name value (at name (isPlain options.${name} value));
      given =
        name: values:
        if length values == 1 then
          take name (head values) (at name (definedIn name (isPlain options.${name} (head values))))
        else
          real.${name};

      config =
        defaults
        // mapAttrs byDefault (own (lib.last loc) config)
        // lib.zipAttrsWith given (map (def: def.value) defs);
    in
    if all isPlainly defs then config else real;

  quick =
    real:
    real
    // {
      substSubModules =
        modules:
        (if length modules == 1 && isOurs (head modules) then quick else (type: type)) (
          real.substSubModules modules
        );
      merge =
        if real.merge ? v2 then
          {
            __functor =
              self: loc: defs:
              (self.v2 { inherit loc defs; }).value;
            v2 =
              { loc, defs }:
              let
                merged = real.merge.v2 { inherit loc defs; };
              in
              {
                inherit (merged) headError valueMeta;
                value = quickly loc defs merged.value;
              };
          }
        else
          loc: defs: quickly loc defs (real.merge loc defs);
    };
in
quick (lib.types.submodule marked)
