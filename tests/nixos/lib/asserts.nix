{ lib }:
rec {
  assertMsg = pred: msg: pred || throw msg;
  assertOneOf =
    name: value: allowed:
    assertMsg (builtins.elem value allowed)
      "${name} must be one of ${lib.generators.toPretty { } allowed}, but is: ${lib.generators.toPretty { } value}";
  assertEachOneOf = name: values: allowed: builtins.all (v: assertOneOf name v allowed) values;
}
