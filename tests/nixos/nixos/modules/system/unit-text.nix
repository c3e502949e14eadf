# Units as text, and the directory of all of them.
{
  lib,
  pkgs,
  config,
}:
let
  lines =
    settings:
    lib.concatStrings (
      lib.concatLists (
        lib.mapAttrsToList (
          name: value: map (v: "${name}=${if builtins.isBool v then lib.boolToString v else toString v}\n") (lib.toList value)
        ) (lib.filterAttrs (_: v: v != null) settings)
      )
    );

  # A trigger changes the unit's text when what it stands for changes.
  trigger =
    kind: unit: items:
    let
      text = lib.concatMapStringsSep "\n" (
        t: if builtins.isPath t then "${t}" else if builtins.isString t || lib.isStringLike t then "${t}" else toString t
      ) items;
    in
    lib.optionalAttrs (items != [ ]) {
      "X-${kind}-Triggers" = "${pkgs.writeText "X-${kind}-Triggers-${pathSafe unit}" text}";
    };

  unitSection =
    fullName: u:
    let
      list = key: names: lib.optionalAttrs (names != [ ]) { ${key} = toString names; };
    in
    "[Unit]\n"
    + lines (
      lib.optionalAttrs (u.description != "") { Description = u.description; }
      // list "Documentation" u.documentation
      // list "Requires" u.requires
      // list "Wants" u.wants
      // list "Upholds" u.upholds
      // list "After" u.after
      // list "Before" u.before
      // list "BindsTo" u.bindsTo
      // list "PartOf" u.partOf
      // list "Conflicts" u.conflicts
      // list "Requisite" u.requisite
      // list "OnFailure" u.onFailure
      // list "OnSuccess" u.onSuccess
      // trigger "Restart" fullName u.restartTriggers
      // trigger "Reload" fullName u.reloadTriggers
      // u.unitConfig
    );
  pathSafe = lib.replaceStrings [ "@" ":" "\\" "[" "]" ] [ "-" "-" "-" "" "" ];

  # What a service runs for its script options: a program of its own, so that
  # a changed script changes the unit.
  jobScript =
    service: part: text:
    let
      file = "${pathSafe (lib.removeSuffix ".service" service)}-${part}";
    in
    "${
      pkgs.writeTextFile {
        name = "unit-script-${file}";
        executable = true;
        destination = "/bin/${file}";
        text = "#!${pkgs.runtimeShell}\nset -e\n${text}\n";
        checkPhase = ''/bin/bash -n "$target"'';
      }
    }/bin/${file}";

  defaultPath = [
    pkgs.coreutils
    pkgs.findutils
    pkgs.gnugrep
    pkgs.gnused
    pkgs.systemd
  ];

  serviceSection =
    fullName: s:
    let
      run =
        key: part: text: args:
        lib.optionalAttrs (text != "") { ${key} = [ "${jobScript fullName part text}${args}" ]; };
      both = a: b: lib.zipAttrsWith (_: values: if builtins.length values == 1 then lib.head values else lib.concatMap lib.toList values) [ a b ];
      searchPath = s.path ++ lib.optionals s.enableDefaultPath defaultPath;
      environment =
        config.systemd.globalEnvironment
        // lib.optionalAttrs (searchPath != [ ]) {
          PATH = "${lib.makeBinPath searchPath}:${lib.makeSearchPathOutput "bin" "sbin" searchPath}";
        }
        // s.environment;
      variable = name: value: "Environment=${builtins.toJSON "${name}=${toString value}"}\n";
      scripts = lib.foldl' both { } [
        (run "ExecStartPre" "pre-start" s.preStart "")
        (run "ExecStart" "start" s.script (lib.optionalString (s.scriptArgs != "") " ${s.scriptArgs}"))
        (run "ExecStartPost" "post-start" s.postStart "")
        (run "ExecReload" "reload" s.reload "")
        (run "ExecStop" "pre-stop" s.preStop "")
        (run "ExecStopPost" "post-stop" s.postStop "")
      ];
    in
    "\n[Service]\n"
    + lib.concatStrings (
      lib.mapAttrsToList variable (lib.filterAttrs (_: v: v != null) environment)
    )
    + lib.optionalString s.reloadIfChanged "X-ReloadIfChanged=true\n"
    + lib.optionalString (!s.reloadIfChanged && !s.restartIfChanged) "X-RestartIfChanged=false\n"
    + lib.optionalString (!s.stopIfChanged) "X-StopIfChanged=false\n"
    + lib.optionalString s.notSocketActivated "X-NotSocketActivated=true\n"
    + lines (both scripts s.serviceConfig);

  plain = u: {
    inherit (u)
      enable
      overrideStrategy
      wantedBy
      requiredBy
      upheldBy
      aliases
      ;
  };
  with' =
    sections: fullName: u:
    plain u // { text = unitSection fullName u + sections fullName u; };
  one = name: settings: "\n[${name}]\n${lines settings}";
in
{
  targets = with' (_: _: "");
  services = with' serviceSection;
  timers = with' (_: u: one "Timer" u.timerConfig);
  paths = with' (_: u: one "Path" u.pathConfig);
  slices = with' (_: u: one "Slice" u.sliceConfig);
  sockets = with' (
    _: u:
    one "Socket" (
      lib.optionalAttrs (u.listenStreams != [ ]) { ListenStream = u.listenStreams; }
      // lib.optionalAttrs (u.listenDatagrams != [ ]) { ListenDatagram = u.listenDatagrams; }
      // u.socketConfig
    )
  );
  mounts = with' (
    _: u:
    one "Mount" (
      {
        What = u.what;
        Where = u.where;
      }
      // lib.optionalAttrs (u.type != "") { Type = u.type; }
      // lib.optionalAttrs (u.options != "") { Options = u.options; }
      // u.mountConfig
    )
  );

  # All units in one derivation: hosts with hundreds of keys have as many units.
  directory =
    packages: units:
    let
      quote = lib.escapeShellArg;
      links =
        name: suffix: targets:
        lib.concatMapStrings (target: "link ${quote "${target}.${suffix}"} ${quote name}\n") targets;
      write =
        name: u:
        (
          if !u.enable then
            "mask ${quote name}\n"
          else if u.overrideStrategy == "asDropin" then
            "unit ${quote "${name}.d/overrides.conf"} ${quote u.text}\n"
          else
            "unit ${quote name} ${quote u.text}\n"
        )
        + links name "wants" u.wantedBy
        + links name "requires" u.requiredBy
        + links name "upholds" u.upheldBy
        + lib.concatMapStrings (alias: "alias ${quote name} ${quote alias}\n") u.aliases;
    in
    pkgs.runCommand "system-units"
      {
        script = lib.concatStrings (lib.mapAttrsToList write units);
        passAsFile = [ "script" ];
      }
      ''
        mkdir $out
        cd $out
        for file in ${lib.concatMapStringsSep " " (p: "${p}/etc/systemd/system/* ${p}/lib/systemd/system/*") packages}; do
          [ ! -e "$file" ] || cp -rs --no-preserve=mode "$file" .
        done
        # What a package brings is changed by a drop-in.
        unit() {
          if [ -e "./$1" ]; then set -- "$1.d/overrides.conf" "$2"; fi
          case $1 in */*) mkdir -p "./''${1%/*}" ;; esac
          printf %s "$2" > "./$1"
        }
        mask() { ln -sfn /dev/null "./$1"; }
        link() {
          mkdir -p "./$1"
          ln -sfn "../$2" "./$1/$2"
        }
        alias() { ln -sfn "$1" "./$2"; }
        . "$scriptPath"
      '';
}
