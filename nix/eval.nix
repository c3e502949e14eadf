# A hive -> data. `makeHive` evaluates the nodes of a hive, `fromFlake` takes
# those of other flake outputs, `select` picks what a command asks for, and
# `introspect` calls an expression of the user's.
# embed.go puts the files of this folder into one expression, so that nothing is
# imported.
{
  options ? import ./options.nix { },
  keys ? import ./keys.nix { },
  select ? import ./select.nix,
  introspect ? import ./introspect.nix,
  configuration ? import ./configuration.nix,
}:
let
  inherit (builtins)
    addErrorContext
    all
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
    let
      # Of a function that a caller has to give these.
      needed = if isFunction raw then filter (name: !(builtins.functionArgs raw).${name}) (attrNames (builtins.functionArgs raw)) else [ ];
      instead = "a hive is a set like `{ meta.nixpkgs = <nixpkgs>; NODE = ./configuration.nix; }`";
    in
    if needed != [ ] then
      throw "colmena-go: the hive is a function that needs ${builtins.head needed}, as a module does: a module is a node of a hive, and ${instead}, or a function whose arguments have defaults"
    else if isFunction raw || raw ? __functor then
      call (raw { })
    else if raw.type or null == "derivation" then
      throw "colmena-go: this is a derivation, and no hive: ${instead}"
    else if raw ? extendModules && raw ? config then
      throw "colmena-go: this is one configuration that was evaluated, and no hive: ${instead}"
    else if raw ? stdenv && raw ? lib then
      throw "colmena-go: this is a nixpkgs, and no hive: ${instead}"
    else if isAttrs raw then
      raw
    else
      throw "colmena-go: the hive must be an attribute set, or a function that returns one";

  # Attributes of a module that are no options.
  moduleWords = [
    "_class"
    "_file"
    "_module"
    "config"
    "disabledModules"
    "freeformType"
    "imports"
    "key"
    "options"
    "require"
  ];

  # A set, unless it has other names than those that are known.
  refuseUnknown =
    where: known: set:
    let
      unknown = filter (name: !elem name known) (attrNames set);
    in
    if unknown == [ ] then
      set
    else
      throw "colmena-go: The option `${builtins.head unknown}' does not exist, in ${where}";

  # What people take for options of a node, often with package sets in them.
  mistaken = [
    "defaults"
    "inputs"
    "modules"
    "network"
    "nodeNixpkgs"
    "nodeSpecialArgs"
    "pkgs"
    "specialArgs"
  ];

  # Of a hive, what stands beside its nodes elsewhere, and is no node by the looks.
  stray =
    name: value:
    let
      set = isAttrs value && !(value ? __functor);
      isNixpkgs = isFunction value && (builtins.functionArgs value) ? overlays || set && (value ? legacyPackages || value ? stdenv && value ? lib);
      kinds = filter (kind: match "(aws|azure|cloudwatch|commandOutput|datadog|digitalOcean|ebs|ec2|efs|elastic|gce|gse|hetzner|iam|libvirt|machines|output|packet|rds|route53|s3|sns|sqs|ssh|vpc).*" kind != null) (attrNames value);
    in
    if elem name [ "nixpkgs" "pkgs" ] && isNixpkgs then
      "is a nixpkgs, and no node: it belongs to meta.nixpkgs"
    else if name == "resources" && set && value != { } && kinds == attrNames value then
      "are what NixOps makes for a network, and no node: nothing here does, so leave them out"
    else
      null;

  # The modules that are sets, of a module and all that it imports.
  plainModules =
    module:
    if isList module then
      builtins.concatMap plainModules module
    else if isAttrs module && !(module ? __functor) then
      [ module ] ++ (if isList (module.imports or null) then plainModules module.imports else [ ])
    else
      [ ];

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
          knownMeta (raw.meta or raw.network or { });

      # The module system prints what an unknown option is set to, which takes
      # forever for a package set: so their names are looked at before. That of
      # nixpkgs may be among them.
      knownMeta =
        set: addErrorContext "while evaluating the hive's meta" (
          if isAttrs set && !(set ? __functor) then refuseUnknown "meta in the hive" (metaNames ++ moduleWords) set else set
        );
      metaNames = attrNames (options.meta { lib = { mkOption = null; types = null; }; }).options;

      meta = addErrorContext "while evaluating the hive's meta" (
        refuseUnknown "meta in the hive" (metaNames ++ [ "_module" ]) (
          lib.evalModules {
            modules = [
              options.meta
              {
                _file = "meta in the hive";
                imports = [ rawMeta ];
              }
              # Of what functions and imports set, the names are looked at afterwards.
              { _module.freeformType = lib.types.lazyAttrsOf lib.types.unspecified; }
            ];
          }
        ).config
      );

      nixpkgs = instantiate "meta.nixpkgs" (
        if rawMeta.nixpkgs or null != null then
          rawMeta.nixpkgs
        else if hermetic then
          throw "colmena-go: meta.nixpkgs must be set in a flake's hive, e.g. to `import nixpkgs { system = \"x86_64-linux\"; }`"
        else
          <nixpkgs>
      );

      # Where every node has a nixpkgs of its own, meta.nixpkgs may be missing.
      pkgs = if rawMeta.nixpkgs or null == null && own != { } then ofNode (builtins.head (attrNames own)) else nixpkgs;
      inherit (pkgs) lib;

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
        else if isPath value || builtins.isString value || (isAttrs value && value ? outPath && !(value ? path && value ? lib)) then
          if hermetic then refuse "a path" else instantiate option (import value)
        else if isFunction value then
          if hermetic then refuse "a function" else value { overlays = [ ]; }
        else if isAttrs value && value ? lib && value ? path then
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
          map (module name) (if isList value then value else [ value ]);
      };

      # Nix quotes a string that is no path, which might be anything.
      module =
        name: value:
        if builtins.isString value && match "/.*" value == null then
          throw "colmena-go: ${name} in the hive is a string: a module is a set, a function, or the path of a file that holds one"
        else
          value;

      # What meta.nixpkgs was initialized with, so that a node's own overlays
      # and config are added to it; and what nixosSystem says of a flake's nixpkgs.
      nixpkgsModule =
        pkgs:
        { lib, options, ... }:
        let
          config = pkgs.config or { };
          # With nixpkgs' readOnlyPkgs, pkgs is all there is to set.
          readOnly = options.nixpkgs.overlays.type.name or null == "unique";
          source = if hermetic && flakeSource then storePathOf pkgs else null;
          revision = (pkgs.lib.trivial.revisionWithDefault or (default: default)) null;
        in
        {
          _file = "meta.nixpkgs";
          nixpkgs = (if readOnly then { pkgs = lib.mkDefault pkgs; } else {
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
          })
          // lib.optionalAttrs (takesNull pkgs && options ? nixpkgs.system) {
            system = lib.mkDefault (systemOf pkgs);
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

      systemOf = pkgs: pkgs.stdenv.hostPlatform.system or pkgs.system;

      # eval-config.nix sets an option to the system, which readOnlyPkgs is without. Old
      # ones do not take null.
      takesNull = pkgs: pkgs.lib.versionAtLeast (pkgs.lib.version or "0") "23.05";

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
          system = if takesNull pkgs then null else systemOf pkgs;
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
      unchecked = genAttrs names (
        name:
        let
          node = evalNode name [ { _module.check = false; } ];
        in
        node // { config = addErrorContext "colmena-go: while asking for nodes.${name}.config" node.config; }
      );

      # Like knownMeta, for mistakes that are known: they are options where a module
      # declares them.
      checked =
        name:
        let
          set = builtins.concatMap attrNames (plainModules [ (raw.defaults or { }) raw.${name} ]);
          unknown = word: elem word set && !(unchecked.${name}.options ? ${word});
          wrong = filter unknown mistaken;
          own = builtins.concatMap attrNames (plainModules raw.${name});
          grouped =
            elem name [ "hosts" "machines" "nodes" "servers" ]
            && own != [ ]
            && all (word: !elem word moduleWords && unknown word) own;
        in
        if stray name raw.${name} != null then
          throw "colmena-go: ${name} in the hive ${stray name raw.${name}}"
        else if grouped then
          throw "colmena-go: ${name} in the hive is taken for a node, but ${builtins.head own} in it is no option: nodes stand beside meta, not in a set of their own"
        else if wrong == [ ] then
          evalNode name [ ]
        else
          throw "colmena-go: The option `${builtins.head wrong}' does not exist, in ${name} in the hive or what it imports";

      strangers =
        option:
        map (name: "meta.${option}.${name} is for no node, as the hive has none of that name") (
          filter (name: !elem name names) (attrNames meta.${option})
        );
    in
    {
      __schema = schema;
      inherit meta;
      # keys.nix is part of every node, and with it that a key has one source.
      checksKeys = true;
      nodes = genAttrs names checked;
      # Without being kept: it takes hundreds of megabytes.
      nodeOf = checked;
      # Of the same meaning in Colmena's hives.
      introspect =
        f:
        f {
          inherit lib pkgs;
          nodes = unchecked;
        };
      notes = builtins.concatMap strangers [ "nodeNixpkgs" "nodeSpecialArgs" ];
    };

  # The nodes of `nixosConfigurations`, each with the deployment options.
  fromConfigurations = set: rec {
    __schema = schema;
    meta = {
      name = "hive";
      description = "nixosConfigurations";
      machinesFile = null;
      allowApplyAll = true;
    };
    nodes =
      if all (name: !(set.${name} ? config)) (systemsOf set) && systemsOf set != [ ] then
        throw "colmena-go: the flake's output nixosConfigurations has an attribute ${builtins.head (systemsOf set)}: configurations are not made for each system, so put them into nixosConfigurations itself"
      else
        mapAttrs (configuration { inherit options keys; }) set;
    introspect = introspectAmong { };
    # pkgs is of the first that is of the system and not without: of the first, if
    # none is. Only a few are looked at, as each costs much of an evaluation. What fails
    # but is no throw is caught by nobody; who reads the error may ask again without it.
    introspectAmong =
      {
        system ? null,
        without ? [ ],
      }:
      f:
      let
        usable = filter (name: !elem name without) (attrNames set);
        pkgsOf =
          name:
          addErrorContext "colmena-go: while taking the pkgs of nixosConfigurations.${builtins.toJSON name}" nodes.${name}.pkgs;
        works = name: (builtins.tryEval (builtins.seq (pkgsOf name) true)).success;
        near = name: (pkgsOf name).stdenv.hostPlatform.system or null == builtins.currentSystem or system;
        search =
          best: i:
          let
            name = builtins.elemAt usable i;
          in
          if i == 5 || i == builtins.length usable then
            best
          else if !works name then
            search best (i + 1)
          else if near name then
            [ name ]
          else
            search (if best == [ ] then [ name ] else best) (i + 1);
        chosen = builtins.head (
          search [ ] 0 ++ usable ++ attrNames set ++ [ (throw "colmena-go: nixosConfigurations has no nodes, and so no pkgs and no lib") ]
        );
        taken = pkgsOf chosen;
        pkgs =
          if attrNames set == [ chosen ] then
            taken
          else
            builtins.seq taken (builtins.trace "pkgs is that of nixosConfigurations.${chosen}" taken);
        libs = filter (name: (builtins.tryEval (set.${name} ? lib)).value) usable;
      in
      f {
        inherit nodes pkgs;
        # Which takes no evaluation, and is the same of most.
        lib = if libs != [ ] then set.${builtins.head libs}.lib else pkgs.lib;
      };
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
        inherit (value) introspect nodes;
        notes = [
          "the flake's output colmenaHive was made by Colmena, so the hosts get Colmena's units and owners of keys, not ours"
        ];
      }
    else if systemsOf value != [ ] then
      throw "colmena-go: the flake's output `colmenaHive` has an attribute ${builtins.head (systemsOf value)}: a hive is not made for each system, so make it one output for all"
    else
      throw "colmena-go: the flake's output `colmenaHive` was made neither by makeHive of colmena-go nor by that of Colmena";

  # All outputs of a flake -> a hive, for who need not be pure (pkg/nixeval/flake.go
  # tries the same, one after the other).
  fromOutputs =
    { flakeSource }:
    outputs:
    let
      take = output: fromFlake { inherit flakeSource; } output outputs.${output};
    in
    if outputs.colmenaHive.__schema or null == schema then
      take "colmenaHive"
    else
      take (builtins.head (
        filter (output: outputs ? ${output}) [
          "colmena"
          "colmenaHive"
        ]
        ++ [ "nixosConfigurations" ]
      ));
in
{
  inherit
    fromFlake
    fromOutputs
    introspect
    makeHive
    select
    ;
}
