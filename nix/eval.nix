# A hive -> data. `makeHive` evaluates the nodes of a hive, `fromFlake` takes
# those of other flake outputs, and `select` picks what a command asks for and
# turns it into plain data for pkg/hive to decode. embed.go puts this file, the
# options and the key module into one expression, so that nothing is imported.
{
  options ? import ./options.nix,
  keys ? import ./keys.nix { },
}:
let
  inherit (builtins)
    addErrorContext
    any
    attrNames
    concatMap
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

  # A hive may be a function, with defaults for its arguments, or a functor.
  call =
    raw:
    if isFunction raw || raw ? __functor then
      call (raw { })
    else if isAttrs raw then
      raw
    else
      throw "colmena-go: the hive must be an attribute set, or a function that returns one";

  # A hive of raw data -> { __schema, meta, nodes }. In a hermetic hive, that of
  # a flake, <nixpkgs> and nixpkgs that would take the current system are out.
  makeHive =
    {
      hermetic ? true,
    }:
    rawHive:
    let
      raw = call rawHive;

      rawMeta =
        if raw ? __schema then
          throw "colmena-go: this hive is evaluated already: use the flake's output `colmenaHive` in place of `colmena`"
        else if raw ? meta && raw ? network then
          throw "colmena-go: the hive sets both `meta` and `network`: keep `meta`, the other is its name in NixOps"
        else
          raw.meta or raw.network or { };

      meta = addErrorContext "while evaluating the hive's meta" (
        lib.evalModules {
          modules = [
            options.meta
            rawMeta
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

      inherit (nixpkgs) lib;

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
      # and config are added to it.
      nixpkgsModule =
        pkgs:
        { lib, options, ... }:
        let
          config = pkgs.config or { };
        in
        {
          _file = "meta.nixpkgs";
          nixpkgs.overlays = lib.mkBefore (pkgs.overlays or [ ]);
          # A node with a package set of its own must not set config (24.05).
          nixpkgs.config = lib.mkIf (!(options.nixpkgs.pkgs.isDefined or false)) (
            # A submodule in some revisions of 2026, where pkgs.config holds every
            # default; merged key by key since 22.11; before that not at all.
            if options.nixpkgs.config.type.name or null == "submodule" then
              mapAttrs (_: lib.mkDefault) config
            else if lib.versionAtLeast lib.version "22.11pre" then
              lib.mkBefore config
            else
              lib.mkOptionDefault config
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

  # The value of a flake's output, whichever it is -> a hive.
  fromFlake =
    output: value:
    if output == "nixosConfigurations" then
      fromConfigurations value
    else if output == "colmena" then
      makeHive { hermetic = true; } value
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
    else
      throw "colmena-go: the flake's output `colmenaHive` was made neither by makeHive of colmena-go nor by that of Colmena";

  # A hive and what a command wants of it -> data.
  #   patterns  [ { kind = "name" | "tag"; exclude; text; regex; } ]; all nodes
  #             are selected where none includes, but for those that one excludes
  #   toplevel  whether each node's system is evaluated
  #   keys      whether the texts of keys are
  #   guarded   whether meta.allowApplyAll is obeyed: without it and without a
  #             pattern that includes, no node is selected, and the program refuses
  #   announce  whether a trace tells how to reach each selected node before any
  #             system is evaluated
  #   token     a word that nobody can guess, in every trace of ours
  select =
    {
      patterns,
      toplevel,
      keys,
      guarded,
      announce,
      token,
    }:
    hive:
    let
      names = attrNames hive.nodes;

      # All of a value of a node's. Errors name the node, and two traces tell whose
      # the warnings between them are.
      at =
        name: value:
        addErrorContext "colmena-go: while evaluating node ${builtins.toJSON name}" (
          trace "at" name (builtins.deepSeq value (trace "at" null value))
        );

      trace = what: value: builtins.trace "colmena-go ${token} ${what}: ${builtins.toJSON value}";

      deployment = name: hive.nodes.${name}.config.deployment;

      matches =
        pattern: name:
        if pattern.kind == "tag" then
          at name (any (tag: match pattern.regex tag != null) (deployment name).tags)
        else
          match pattern.regex name != null;

      matched = map (pattern: {
        inherit (pattern) kind exclude text;
        names = filter (matches pattern) names;
      }) patterns;

      selected =
        let
          namesOf = concatMap (m: m.names);
          sides = builtins.partition (m: m.exclude) matched;
          included =
            if sides.wrong != [ ] then
              namesOf sides.wrong
            else if guarded && !hive.meta.allowApplyAll then
              [ ]
            else
              names;
          excluded = namesOf sides.right;
        in
        filter (name: elem name included && !elem name excluded) names;

      # `path` is not returned, but setting it is an error that shall be seen.
      keyData =
        name: key:
        builtins.seq key.path {
          inherit (key)
            name
            keyFile
            keyCommand
            destDir
            user
            group
            permissions
            uploadAt
            ;
          allowEmpty = key.allowEmpty or false; # not one of Colmena's
        }
        // (if keys then { text = utf8 name key.text; } else { textLeftOut = true; });

      # JSON cannot carry other bytes: some versions of Nix refuse them without
      # saying where they come from, which is why they are asked here already.
      utf8 =
        name: text:
        addErrorContext "colmena-go: while passing on the text of key ${builtins.toJSON name}" (
          builtins.seq (builtins.toJSON text) text
        );

      wayTo =
        name:
        let
          d = deployment name;
        in
        {
          inherit (d)
            targetHost
            targetPort
            targetUser
            privilegeEscalationCommand
            ;
          sshOptions = d.sshOptions or [ ]; # new in Colmena 0.5
        };

      announcement =
        name:
        at name (
          trace "node" {
            inherit name;
            deployment = wayTo name;
          } null
        );

      nodeData = name: {
        deployment =
          let
            d = deployment name;
          in
          wayTo name
          // {
            inherit (d)
              tags
              buildOnTarget
              replaceUnknownProfiles
              ;
            keys = mapAttrs keyData d.keys;
          };
        toplevel =
          if toplevel then
            let
              inherit (hive.nodes.${name}.config.system.build) toplevel;
            in
            # A set with an outPath would be printed as that path alone.
            {
              inherit (toplevel) drvPath;
              outputPath = builtins.unsafeDiscardStringContext toplevel.outPath;
            }
          else
            null;
      };
    in
    {
      meta = {
        inherit (hive.meta)
          name
          description
          machinesFile
          allowApplyAll
          ;
      };
      notes = hive.notes or [ ];
      inherit names;
      unmatched = map (m: m.text) (filter (m: m.names == [ ]) matched);
      # What might have been meant; to know that no tag matches, all were read.
      tags =
        if any (m: m.kind == "tag" && m.names == [ ]) matched then
          attrNames (builtins.groupBy (tag: tag) (concatMap (name: at name (deployment name).tags) names))
        else
          [ ];
      nodes = builtins.deepSeq (if announce then map announcement selected else [ ]) (
        genAttrs selected (name: at name (nodeData name))
      );
    };
in
{
  inherit fromFlake makeHive select;
}
