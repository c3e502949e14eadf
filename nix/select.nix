# A hive and what a command wants of it -> data.
#   patterns  [ { kind = "name" | "tag"; exclude; text; regex; } ]; all nodes
#             are selected where none includes, but for those that one excludes
#   toplevel  whether each node's system is evaluated
#   keys      whether the texts of keys are
#   guarded   whether meta.allowApplyAll is obeyed: without it and without a
#             pattern that includes, no node is selected, and the program refuses
#   without   nodes that are not looked at, as they are known to be broken
#   announce  whether a trace tells how to reach each selected node before any
#             system is evaluated
#   token     a word that nobody can guess, in every trace of ours
{
  patterns,
  toplevel,
  keys,
  guarded,
  without,
  announce,
  token,
}:
hive:
let
  inherit (builtins)
    addErrorContext
    any
    attrNames
    concatMap
    elem
    filter
    listToAttrs
    map
    mapAttrs
    match
    ;

  genAttrs =
    names: f:
    listToAttrs (
      map (name: {
        inherit name;
        value = f name;
      }) names
    );

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
      !elem name without && at name (any (tag: match pattern.regex tag != null) (deployment name).tags)
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
    filter (name: elem name included && !elem name excluded && !elem name without) names;

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
      builds = concatMap buildsOf (
        (if key.keyFile == null then [ ] else [ key.keyFile ])
        ++ (if key.keyCommand == null then [ ] else key.keyCommand)
      );
    }
    // (
      if keys then
        {
          text = utf8 name key.text;
          textPaths =
            if key.text != null && builtins.hasContext key.text then
              attrNames (builtins.getContext key.text)
            else
              [ ];
        }
      else
        { textLeftOut = true; }
    );

  # What has to be built before a text can be used: DRV!OUTPUT.
  buildsOf =
    text:
    let
      context = builtins.getContext text;
    in
    if builtins.hasContext text then
      concatMap (drv: map (output: "${drv}!${output}") (context.${drv}.outputs or [ ])) (attrNames context)
    else
      [ ];

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
      attrNames (builtins.groupBy (tag: tag) (concatMap (name: at name (deployment name).tags) (filter (name: !elem name without) names)))
    else
      [ ];
  nodes = builtins.deepSeq (if announce then map announcement selected else [ ]) (
    genAttrs selected (name: at name (nodeData name))
  );
}
