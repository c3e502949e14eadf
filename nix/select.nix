# A hive and what a command wants of it -> data. What is printed for the hive
# (head) and for each node (line) is JSON.
#   patterns  [ { kind = "name" | "tag"; exclude; text; regex; } ]; all nodes
#             are selected where none includes, but for those that one excludes
#   toplevel  whether each node's system is evaluated
#   keys      whether the texts of keys are
#   guarded   whether meta.allowApplyAll is obeyed: without it and without a
#             pattern that includes, no node is selected, and the program refuses
#   without   nodes that are not looked at, as they are known to be broken
#   only      the nodes to evaluate, of which the hive has every one; null for
#             those that are selected
#   most      how many of them at most: another process has the others
#   announce  whether a trace tells how to reach each node before its system is
#             evaluated
#   token     a word that nobody can guess, in every trace of ours
{
  patterns,
  toplevel,
  keys,
  guarded,
  without,
  only,
  most,
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
    isAttrs
    listToAttrs
    map
    mapAttrs
    match
    ;

  names = attrNames hive.nodes;

  # All of a value of a node's. Errors name the node, and two traces tell whose
  # the warnings between them are.
  at = name: value: from name (builtins.deepSeq value (trace "at" null value));

  # The same, where something of another node follows, and that alone.
  from =
    name: value:
    addErrorContext "colmena-go: while evaluating node ${builtins.toJSON name}" (trace "at" name value);

  trace = what: value: builtins.trace "colmena-go ${token} ${what}: ${builtins.toJSON value}";

  # Where all tags are read, what was evaluated for them serves for systems, too.
  readsTags = only == null && any (p: p.kind == "tag") patterns;
  nodeOf = if readsTags || !(hive ? nodeOf) then name: hive.nodes.${name} else hive.nodeOf;
  tagsOf = name: hive.nodes.${name}.config.deployment.tags;

  # Of a node that its name excludes, nobody needs to know the tags.
  matches =
    pattern: name:
    if pattern.kind == "tag" then
      !elem name without
      && !any (p: p.kind == "name" && p.exclude && match p.regex name != null) patterns
      && at name (any (tag: match pattern.regex tag != null) (tagsOf name))
    else
      match pattern.regex name != null;

  # Nodes may share a mistake: where there was one, tags of nodes far from each other
  # are read first.
  far =
    if without == [ ] || !readsTags then
      [ ]
    else
      let
        last = builtins.length names - 1;
      in
      concatMap (pattern: map (i: matches pattern (builtins.elemAt names i)) [ last (last / 2) ]) patterns;

  matched = builtins.seq (inTurn far) (
    map (pattern: {
      inherit (pattern) kind exclude text;
      names = filter (matches pattern) names;
    }) patterns
  );

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
    later: definitions: name: key:
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
      # Those that are not Colmena's.
      allowEmpty = key.allowEmpty or false;
      # As a list: a set with an outPath would be printed as that alone.
      environment = builtins.attrValues (
        mapAttrs (name: value: { inherit name value; }) (key.environment or { })
      );
      shared = key.shared or false;
      keyTimeout = key.keyTimeout or null;
      fingerprint = key.fingerprint or null;
      restartUnits = key.restartUnits or [ ];
      reloadUnits = key.reloadUnits or [ ];
      builds = concatMap buildsOf (
        (if key.keyFile == null then [ ] else [ key.keyFile ])
        ++ (if key.keyCommand == null then [ ] else key.keyCommand ++ builtins.attrValues (key.environment or { }))
      );
    }
    // (
      if keys then
        {
          textPaths =
            if key.text != null && builtins.hasContext key.text then
              attrNames (builtins.getContext key.text)
            else
              [ ];
        }
        // (if later && key.text != null then { textLater = true; } else { text = utf8 name key.text; })
      else
        {
          textLeftOut = true;
          # Where the system is evaluated, its assertions look as well.
          noText = (later && toplevel && hive.checksKeys or false || !mayHaveText definitions name) && key.text == null;
          textToo =
            !toplevel
            && (key.keyFile != null || key.keyCommand != null)
            && definesText definitions name
            && key.text != null;
        }
    );

  # What the definitions of a node's keys tell of the text of one, which itself is not
  # evaluated: it may be a file that is elsewhere.
  mayHaveText =
    definitions: name: any (set: set == null || set ? text) (setsOf definitions name);
  definesText =
    definitions: name: any (set: set != null && set ? text) (setsOf definitions name);
  setsOf =
    definitions: name:
    if definitions == null then
      [ null ]
    else
      concatMap (def: if def ? ${name} then plainly def.${name} else [ ]) definitions;

  # The sets that a definition consists of, whatever its conditions; null for what is
  # none by the looks.
  plainly =
    def:
    if !isAttrs def || def ? __functor || def ? imports || def ? config then
      [ null ]
    else if def._type or null == "merge" then
      concatMap plainly def.contents
    else if def ? _type && def ? content then
      plainly def.content
    else
      [ def ];

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

  wayTo = d: {
    inherit (d)
      targetHost
      targetPort
      targetUser
      privilegeEscalationCommand
      ;
    sshOptions = d.sshOptions or [ ]; # new in Colmena 0.5
  };

  # The data of a node; with later, without the texts of its keys.
  nodeData =
    later: name:
    let
      inherit (nodeOf name) config options;
    in
    {
      inherit name;
      deployment =
        let
          d = config.deployment;
          way = wayTo d;
        in
        (if announce then builtins.deepSeq way (trace "node" { inherit name; deployment = way; } way) else way)
        // {
          inherit (d)
            tags
            buildOnTarget
            replaceUnknownProfiles
            ;
          allowLocalDeployment = d.allowLocalDeployment or false;
          # None of Colmena's.
          removeStaleKeys = d.removeStaleKeys or false;
          keyDirectories = mapAttrs (_: dir: { inherit (dir) user group permissions; }) (d.keyDirectories or { });
          keys = mapAttrs (keyData later (options.deployment.keys.definitions or null)) d.keys;
        };
      toplevel =
        if toplevel then
          let
            inherit (config.system.build) toplevel;
          in
          # A set with an outPath would be printed as that path alone.
          {
            inherit (toplevel) drvPath;
            outputPath = builtins.unsafeDiscardStringContext toplevel.outPath;
          }
        else
          null;
    };

  # One after the other, so that a node is there when it is done.
  inTurn = builtins.foldl' (before: next: builtins.seq before next) null;

  take = builtins.genList (builtins.elemAt chosen) (if count < most then count else most);
  chosen = if only == null then selected else only;
  count = builtins.length chosen;

  head = builtins.toJSON {
    meta = {
      inherit (hive.meta)
        name
        description
        machinesFile
        allowApplyAll
        ;
      # Colmena's own hives know nothing of these.
      binaryCache = hive.meta.binaryCache or null;
      binaryCacheFrom = hive.meta.binaryCacheFrom or null;
    };
    notes = hive.notes or [ ];
    # Nothing but the hive has a part in the result: what else could is not there.
    pure =
      !any (name: builtins ? ${name}) [
        "currentSystem"
        "exec"
        "importNative"
      ]
      && builtins.getEnv "PATH" == "";
    inherit names selected;
    # The tags of nodes that are left out are not known.
    unmatched = map (m: m.text) (filter (m: m.names == [ ] && (m.kind == "name" || without == [ ])) matched);
    # What might have been meant; to know that no tag matches, all were read.
    tags =
      if any (m: m.kind == "tag" && m.names == [ ]) matched then
        attrNames (builtins.groupBy (tag: tag) (concatMap (name: at name (tagsOf name)) (filter (name: !elem name without) names)))
      else
        [ ];
  };

  line = later: name: from name (builtins.toJSON (nodeData later name));
in
{
  # One attribute each, in an order that can be asked for: the hive's, then that
  # of nodes, as far as there are any.
  lines = {
    inherit head;
  }
  // listToAttrs (
    builtins.genList (i: {
      name = "n${toString i}";
      value = if i < count then line false (builtins.elemAt chosen i) else "null";
    }) most
  );

  # In traces, without the texts of keys, which must not be in a log.
  traces = inTurn ([ (trace "head" head { }) ] ++ map (name: trace "done" (line true name) { }) take);

  # All at the end.
  whole = trace "head" head (map (line false) take);
}
