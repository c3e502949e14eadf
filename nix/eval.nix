# A hive -> data. `makeHive` evaluates the nodes of a hive, `fromFlake` takes
# those of other flake outputs, and `select` picks what a command asks for.
# embed.go puts the files of this folder into one expression, so that nothing is
# imported.
{
  options ? import ./options.nix,
  keys ? import ./keys.nix { },
  select ? import ./select.nix,
}:
let
  inherit (builtins)
    addErrorContext
    attrNames
    elem
    filter
    isAttrs
    isFunction
    isList
    isPath
    listToAttrs
    map
    mapAttrs
    match
    ;

  schema = "colmena-go.v1";

  reserved = [
    "defaults"
    "meta"
    "network"
  ];

  genAttrs =
    names: f:
    listToAttrs (
      map (name: {
        inherit name;
        value = f name;
      }) names
    );

  # Outputs that a flake has for each system have such names.
  systemsOf =
    set:
    filter (name: match "(x86_64|aarch64|i686|armv[67]l|riscv64)-(linux|darwin)" name != null) (
      if isAttrs set then attrNames set else [ ]
    );

  # A hive may be a function, with defaults for its arguments, or a functor.
  call =
    raw:
    if isFunction raw || raw ? __functor then
      call (raw { })
    else if isAttrs raw then
      raw
    else
      throw "colmena-go: the hive must be an attribute set, or a function that returns one";

  # The store path that a nixpkgs lies in, with what makes it part of a closure,
  # or null.
  storePathOf =
    pkgs:
    let
      path = toString pkgs.path;
    in
    if match "${builtins.storeDir}/[^/]+" path == null then
      null
    else
      builtins.appendContext path { ${path}.path = true; };

  # A hive of raw data -> { __schema, meta, nodes }. In a hermetic hive, that of
  # a flake, <nixpkgs> and nixpkgs that would take the current system are out, and
  # nodes learn of the flake that nixpkgs is, unless flakeSource is false.
  makeHive =
    {
      hermetic ? true,
      flakeSource ? true,
    }:
    rawHive:
    let
      raw = call rawHive;

      rawMeta =
        if raw ? __schema then
          throw "colmena-go: this hive is evaluated already: use the flake's output `colmenaHive` in place of `colmena`"
        else if systemsOf raw != [ ] then
          throw "colmena-go: the hive has a node named ${builtins.head (systemsOf raw)}: a hive is not made for each system, so put its nodes beside meta, and give meta.nixpkgs the system"
        else if raw ? meta && raw ? network then
          throw "colmena-go: the hive sets both `meta` and `network`: keep `meta`, the other is its name in NixOps"
        else
          raw.meta or raw.network or { };

      meta = addErrorContext "while evaluating the hive's meta" (
        lib.evalModules {
          modules = [
            options.meta
            {
              _file = "meta in the hive";
              imports = [ rawMeta ];
            }
          ];
        }
      ).config;

      nixpkgs = instantiate "meta.nixpkgs" (
        if rawMeta.nixpkgs or null != null then
          rawMeta.nixpkgs
        else if hermetic then
          throw "colmena-go: meta.nixpkgs must be set in a flake's hive, e.g. to `import nixpkgs { system = \"x86_64-linux\"; }`"
        else
          <nixpkgs>
      );

      # Where every node has a nixpkgs of its own, meta.nixpkgs may be missing.
      inherit (if rawMeta.nixpkgs or null == null && own != { } then ofNode (builtins.head (attrNames own)) else nixpkgs) lib;

      own = rawMeta.nodeNixpkgs or { };
      ofNode = name: instantiate "meta.nodeNixpkgs.${name}" own.${name};

      instantiate =
        option: value:
        let
          refuse =
            what:
            throw "colmena-go: ${option} is ${what}, which a flake cannot use: initialize it, as in `import nixpkgs { system = \"x86_64-linux\"; }`";
        in
        if hermetic && isAttrs value && value ? outputs then
          refuse "a flake's input"
        else if isPath value || builtins.isString value || (isAttrs value && value ? outPath && !(value ? path)) then
          if hermetic then refuse "a path" else instantiate option (import value)
        else if isFunction value then
          if hermetic then refuse "a function" else value { overlays = [ ]; }
        else if isAttrs value then
          value
        else
          throw "colmena-go: ${option} must be a path to nixpkgs, the function it holds, or an initialized package set";

      names = filter (name: !elem name reserved) (attrNames raw);

      # Errors name the file that a definition is in, and what is written in the
      # hive itself has none.
      modulesOf = name: {
        _file = "${name} in the hive";
        imports =
          let
            value = raw.${name} or { };
          in
          if isList value then value else [ value ];
      };

      # What meta.nixpkgs was initialized with, so that a node's own overlays
      # and config are added to it; and what nixosSystem says of a flake's nixpkgs.
      nixpkgsModule =
        pkgs:
        { lib, options, ... }:
        let
          config = pkgs.config or { };
          source = if hermetic && flakeSource then storePathOf pkgs else null;
          revision = (pkgs.lib.trivial.revisionWithDefault or (default: default)) null;
        in
        {
          _file = "meta.nixpkgs";
          nixpkgs = {
            overlays = lib.mkBefore (pkgs.overlays or [ ]);
            # A node with a package set of its own must not set config (24.05).
            config = lib.mkIf (!(options.nixpkgs.pkgs.isDefined or false)) (
              # A submodule in some revisions of 2026, where pkgs.config holds every
              # default; merged key by key since 22.11; before that not at all.
              if options.nixpkgs.config.type.name or null == "submodule" then
                mapAttrs (_: lib.mkDefault) config
              else if lib.versionAtLeast lib.version "22.11pre" then
                lib.mkBefore config
              else
                lib.mkOptionDefault config
            );
          }
          // lib.optionalAttrs (source != null && options ? nixpkgs.flake.source) {
            flake.source = lib.mkDefault source;
          };
          # The lib of a flake's legacyPackages knows its revision.
          system.nixos = lib.optionalAttrs (source != null) (
            lib.optionalAttrs (options ? system.nixos.revision && revision != null) {
              revision = lib.mkDefault revision;
            }
            // lib.optionalAttrs (options ? system.nixos.versionSuffix && revision != null) {
              versionSuffix = lib.mkDefault pkgs.lib.trivial.versionSuffix;
            }
          );
        };

      evalNode =
        name: extra:
        let
          pkgs =
            if meta.nodeNixpkgs ? ${name} then
              instantiate "meta.nodeNixpkgs.${name}" meta.nodeNixpkgs.${name}
            else
              nixpkgs;
        in
        import (pkgs.path + "/nixos/lib/eval-config.nix") {
          system = pkgs.stdenv.hostPlatform.system or pkgs.system;
          specialArgs = {
            inherit name;
            nodes = unchecked;
          }
          // meta.specialArgs
          // (meta.nodeSpecialArgs.${name} or { });
          modules = [
            (nixpkgsModule pkgs)
            options.deployment
            keys
            (modulesOf "defaults")
          ]
          ++ extra
          ++ [ (modulesOf name) ];
        };

      # The argument `nodes` of every module. Options that do not exist are
      # found when the node itself is evaluated; here they would cost time.
      unchecked = genAttrs names (name: evalNode name [ { _module.check = false; } ]);
    in
    {
      __schema = schema;
      inherit meta;
      nodes = genAttrs names (name: evalNode name [ ]);
    };

  # The nodes of `nixosConfigurations`, each with the deployment options.
  fromConfigurations = configurations: {
    __schema = schema;
    meta = {
      name = "hive";
      description = "nixosConfigurations";
      machinesFile = null;
      allowApplyAll = true;
    };
    nodes = mapAttrs (
      name: configuration:
      # Those that import nixosModules.default have the options already.
      if configuration.options ? deployment then
        configuration
      else
        configuration.extendModules {
          modules = [
            # Not as a special argument, which might be one of theirs.
            (args: options.deployment (args // { inherit name; }))
            keys
          ];
        }
    ) configurations;
  };

  # The value of a flake's output, whichever it is -> a hive. See makeHive for
  # flakeSource.
  fromFlake =
    { flakeSource }:
    output: value:
    if output == "nixosConfigurations" then
      fromConfigurations value
    else if output == "colmena" then
      makeHive { inherit flakeSource; } value
    else if value.__schema or null == schema then
      value
    else if value ? nodes && value ? metaConfig then
      {
        meta = value.metaConfig;
        inherit (value) nodes;
        notes = [
          "the flake's output colmenaHive was made by Colmena, so the hosts get Colmena's units and owners of keys, not ours"
        ];
      }
    else if systemsOf value != [ ] then
      throw "colmena-go: the flake's output `colmenaHive` has an attribute ${builtins.head (systemsOf value)}: a hive is not made for each system, so make it one output for all"
    else
      throw "colmena-go: the flake's output `colmenaHive` was made neither by makeHive of colmena-go nor by that of Colmena";
in
{
  inherit fromFlake makeHive select;
}
