{ lib }:
rec {
  addMetaAttrs = attrs: drv: drv // { meta = drv.meta or { } // attrs; };
  setName = name: drv: drv // { inherit name; };
  lowPrio = addMetaAttrs { priority = 10; };
  hiPrio = addMetaAttrs { priority = -10; };
  setPrio = priority: addMetaAttrs { inherit priority; };
  getExe' = pkg: program: "${lib.getBin pkg}/bin/${program}";
  getExe = pkg: getExe' pkg (pkg.meta.mainProgram or (lib.getName pkg));
}
