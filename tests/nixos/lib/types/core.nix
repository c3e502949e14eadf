# What a type is made of.
{ lib }:
rec {
  isType = type: value: value._type or "" == type;
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
      typeMerge ? lib.modules.defaultTypeMerge functor,
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

  # A type around one other type, and how it is made from it.
  wrapping = name: type: elemType: {
    inherit name type;
    wrapped = elemType;
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
