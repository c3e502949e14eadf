# What a type is made of.
{ lib }:
rec {
  # Two types of one name combine if what they are made of does.
  defaultTypeMerge =
    f: g:
    let
      wrapped = f.wrapped.typeMerge g.wrapped.functor;
      payload = f.binOp f.payload g.payload;
    in
    if f.name != g.name then
      null
    else if f.wrapped != null then
      if g.wrapped == null || wrapped == null then null else f.type wrapped
    else if f.payload == null then
      f.type
    else if payload == null then
      null
    else
      f.type payload;

  isType = type: value: value._type or "" == type;
  setType = type: value: value // { _type = type; };
  isOptionType = isType "option-type";

  # functor tells how two declarations of one option with this type combine.
  mkOptionType =
    {
      name,
      description ? null,
      descriptionClass ? null,
      check ? (_: true),
      merge ? lib.options.mergeDefaultOption,
      emptyValue ? { },
      getSubOptions ? (_: { }),
      getSubModules ? null,
      substSubModules ? (_: null),
      typeMerge ? defaultTypeMerge functor,
      functor ? defaultFunctor name,
      deprecationMessage ? null,
      nestedTypes ? { },
    }:
    {
      _type = "option-type";
      inherit
        name
        check
        merge
        emptyValue
        getSubOptions
        getSubModules
        substSubModules
        typeMerge
        deprecationMessage
        nestedTypes
        descriptionClass
        ;
      inherit functor;
      description = if description == null then name else description;
    };

  defaultFunctor = name: {
    inherit name;
    type = lib.types.${name} or null;
    wrapped = null;
    payload = null;
    binOp = a: b: null;
  };

  addCheck =
    type: check:
    type
    // {
      check = x: type.check x && check x;
      typeMerge = _: null;
    };
}
