builtins.mapAttrs
  (_: spdxId: {
    inherit spdxId;
    shortName = spdxId;
    free = true;
  })
  {
    mit = "MIT";
    asl20 = "Apache-2.0";
    bsd3 = "BSD-3-Clause";
    gpl3Plus = "GPL-3.0-or-later";
  }
