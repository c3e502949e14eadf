# Types of options: what they accept and how several definitions become one.
{ lib }:
let
  core = import ./types/core.nix { inherit lib; };
  part = file: import file { inherit lib; };
in
core // part ./types/simple.nix // part ./types/composed.nix // part ./types/submodule.nix
