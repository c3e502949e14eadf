{ lib }:
rec {
  pathType = builtins.readFileType or (p: (builtins.readDir (dirOf p)).${baseNameOf p});
  pathIsDirectory = p: builtins.pathExists p && pathType p == "directory";
  pathIsRegularFile = p: builtins.pathExists p && pathType p == "regular";

  cleanSourceFilter =
    name: type:
    !(builtins.elem (baseNameOf name) [
      ".git"
      ".svn"
      ".hg"
      "CVS"
    ])
    && !lib.hasSuffix "~" (baseNameOf name)
    && !(type == "symlink" && lib.hasPrefix "result" (baseNameOf name));
  cleanSourceWith =
    {
      filter ? (_: _: true),
      src,
      name ? "source",
    }:
    builtins.path {
      inherit filter name;
      path = src;
    };
  cleanSource =
    src:
    cleanSourceWith {
      filter = cleanSourceFilter;
      inherit src;
    };
  sourceFilesBySuffices =
    src: suffices:
    cleanSourceWith {
      inherit src;
      filter = name: type: type == "directory" || lib.any (s: lib.hasSuffix s (baseNameOf name)) suffices;
    };
}
