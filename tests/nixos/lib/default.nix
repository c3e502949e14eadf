# The part of nixpkgs' lib that hives and NixOS modules lean on: the same names
# with the same meaning, so that what evaluates here evaluates there as well.
let
  fixedPoints = import ./fixed-points.nix;

  # Parts whose every name is also found in lib itself, as in nixpkgs.
  flat = [
    "trivial"
    "fixedPoints"
    "lists"
    "attrsets"
    "strings"
    "stringsWithDeps"
    "customisation"
    "options"
    "modules"
    "asserts"
    "debug"
    "sources"
    "meta"
  ];

  # Names of those parts that nixpkgs keeps out of lib itself.
  onlyInParts = [
    "assertEachOneOf"
    "charToInt"
    "defaultOrderPriority"
    "defaultOverridePriority"
    "defaultPriority"
    "escapeC"
    "escapeNixIdentifier"
    "escapeNixString"
    "findFirstIndex"
    "importApply"
    "isConvertibleWithToString"
    "normalizePath"
    "release"
    "sanitizeDerivationName"
    "showDefs"
    "storeDir"
    "unionOfDisjoint"
  ];
in
fixedPoints.makeExtensible (
  self:
  let
    load = file: import file { lib = self; };

    parts = {
      inherit fixedPoints;
      trivial = load ./trivial.nix;
      lists = load ./lists.nix;
      attrsets = load ./attrsets.nix;
      strings = load ./strings.nix;
      stringsWithDeps = load ./strings-with-deps.nix;
      customisation = load ./customisation.nix;
      options = load ./options.nix;
      modules = load ./modules.nix;
      asserts = load ./asserts.nix;
      debug = load ./debug.nix;
      sources = load ./sources.nix;
      meta = load ./meta.nix;

      types = load ./types.nix;
      generators = load ./generators.nix;
      versions = load ./versions.nix;
      systems = load ./systems.nix;
      platforms = self.systems.platforms;
      licenses = import ./licenses.nix;
      maintainers = { };
      teams = { };
    };
  in
  {
    inherit (parts.types)
      isType
      setType
      isOptionType
      mkOptionType
      defaultFunctor
      defaultTypeMerge
      ;
  }
  // removeAttrs (builtins.foldl' (all: name: all // parts.${name}) { } flat) onlyInParts // parts
)
