# What every node gets for its keys: checks, owners, and a unit for each key.
# The content of a key is never part of the system; `text` is only compared
# with null here.
{
  # In the one expression of embed.go there are no files to read.
  scriptText ? name: builtins.readFile (./. + "/${name}.sh"),
}:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  keys = config.deployment.keys;

  # --- unit names -----------------------------------------------------------
  # What systemd does not take literally is written as \xNN, byte by byte, the
  # way pkg/hive's Key.Unit does. A name with an @ is that of an instance, which
  # needs no template where it has a file of its own.
  escapes =
    let
      digits = lib.stringToCharacters "0123456789abcdef";
      hex = n: builtins.elemAt digits (n / 16) + builtins.elemAt digits (lib.mod n 16);
      char = code: builtins.fromJSON "\"${code}\"";
      range = from: to: builtins.genList (i: from + i) (to - from + 1);
      byte = n: string: lib.nameValuePair string "\\x${hex n}";
      # Bytes from 0x80 on are no characters of their own: they are cut from the
      # UTF-8 form of some that hold them.
      lead = n: code: byte n (builtins.substring 0 1 (char code));
    in
    builtins.listToAttrs (
      map (n: byte n (char "\\u00${hex n}")) (range 1 127)
      ++ map (n: byte n (builtins.substring 1 1 (char "\\u00${hex n}"))) (range 128 191)
      ++ map (
        n:
        let
          high = (n - 192) * 64;
        in
        lead n "\\u${hex (high / 256)}${hex (lib.mod high 256)}"
      ) (range 194 223)
      ++ map (n: lead n "\\u${hex (if n == 224 then 8 else (n - 224) * 16)}00") (range 224 239)
      ++ [
        (lead 240 "\\ud800\\udc00")
        (lead 241 "\\ud8c0\\udc00")
        (lead 242 "\\ud9c0\\udc00")
        (lead 243 "\\udac0\\udc00")
        (lead 244 "\\udbc0\\udc00")
      ]
    );

  literal = lib.stringToCharacters "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_-.@";

  escapeUnit =
    name:
    let
      escape = c: if builtins.elem c literal then c else escapes.${c};
      escaped = lib.concatMapStrings escape (lib.stringToCharacters name);
    in
    # Most names need no look at each of their characters.
    if builtins.match "[A-Za-z0-9:_-][A-Za-z0-9:_.@-]*" name != null then
      name
    else if lib.hasPrefix "." name || lib.hasPrefix "@" name then
      escapes.${builtins.substring 0 1 name} + builtins.substring 1 (-1) escaped
    else
      escaped;

  unit = name: "${escapeUnit name}-key";

  # A word of ExecStart= (systemd.service(5), "Command lines").
  execWord =
    text: "\"${builtins.replaceStrings [ "\\" "\"" "%" "$" ] [ "\\\\" "\\\"" "%%" "$$" ] text}\"";

  # --- paths ------------------------------------------------------------------
  # One spelling of each path, so that two can be compared and taken apart.
  steps = path: builtins.filter (step: step != "" && step != ".") (lib.splitString "/" path);
  clean = path: "/" + lib.concatStringsSep "/" (steps path);
  paths = builtins.mapAttrs (_: key: clean key.path) keys;

  # Lines of words separated by tabs, for the scripts; no option that goes in
  # here may hold either, see the assertions.
  lines = lib.concatMapStrings (row: lib.concatStringsSep "	" row + "\n");
  table = name: rows: pkgs.writeText name (lines rows);

  script =
    name: inputs:
    pkgs.writeScript "colmena-go-${name}" ''
      #!${pkgs.runtimeShell}
      ${lib.optionalString (inputs != [ ]) "PATH=${lib.makeBinPath inputs}"}
      ${scriptText name}
    '';

  # --- owners -----------------------------------------------------------------
  owners = table "colmena-go-key-owners" (
    lib.mapAttrsToList (name: key: [
      paths.${name}
      key.user
      key.group
      key.permissions
      name
    ]) keys
  );

  # Those below others come first, and those that are root's for good are nobody's.
  directories = table "colmena-go-key-directories" (
    lib.reverseList (
      lib.mapAttrsToList (path: dir: [
        (clean path)
        dir.user
        dir.group
        dir.permissions
        (forRoot dir.permissions)
      ]) (lib.filterAttrs (_: dir: dir.user != "root" || dir.group != "root") config.deployment.keyDirectories)
    )
  );

  # Of octal digits those for the owner: "02750" -> "700".
  forRoot =
    mode:
    let
      digits = builtins.match ".*([0-7])[0-7][0-7]" mode;
    in
    if digits == null || digits == [ "0" ] then "0" else "${builtins.head digits}00";

  own = "${script "own-keys" [ pkgs.coreutils ]} ${owners} ${directories}";

  # Users are made by a service, later than the activation script, in these.
  usersByService = (config.services.userborn.enable or false) || (config.systemd.sysusers.enable or false);

  # --- units --------------------------------------------------------------------
  systemd = config.systemd.package or pkgs.systemd;

  await = script "await-key" [ ];

  # All in one package: as systemd.services, each would cost an evaluation some
  # 60 options and a derivation. What a configuration adds to one of them in
  # systemd.services becomes a drop-in.
  units =
    pkgs.runCommandLocal "colmena-go-key-units"
      {
        # Not at the end of a line, where a backslash would join it to the next.
        list = lines (
          lib.mapAttrsToList (name: path: [
            (unit name)
            "Key \"${builtins.replaceStrings [ "%" ] [ "%%" ] name}\""
            (execWord path)
          ]) paths
        );
        passAsFile = [ "list" ];
      }
      ''
        dir=$out/lib/systemd/system
        mkdir -p "$dir"
        while IFS='	' read -r unit description path; do
          cat >"$dir/$unit.service" <<UNIT
        [Unit]
        Description=$description
        StartLimitIntervalSec=0

        [Service]
        # It is active while the file is there, whatever else changes.
        X-RestartIfChanged=false
        Type=oneshot
        RemainAfterExit=true
        TimeoutStartSec=infinity
        # Stopped while it waits, it has not failed.
        SuccessExitStatus=TERM
        ExecStart=${await} $path %n
        UNIT
        done <"$listPath"
      '';

  watched = table "colmena-go-keys" (
    lib.mapAttrsToList (name: path: [
      "${unit name}.service"
      path
    ]) paths
  );

  # The directories of keys and those that lead there: /a/b -> /a /a/b
  ways =
    let
      dirs = builtins.attrNames (builtins.groupBy dirOf (builtins.attrValues paths));
      ancestors =
        dir:
        let
          all = steps dir;
        in
        lib.genList (n: "/" + lib.concatStringsSep "/" (lib.take (n + 1) all)) (builtins.length all);
    in
    builtins.attrNames (builtins.groupBy (way: way) (lib.concatMap ancestors dirs));

  # The unit of what is mounted there (systemd.unit(5), "String escaping").
  mount =
    way:
    let
      step = builtins.replaceStrings [ "-" "@" ] [ "\\x2d" "\\x40" ];
      # A dot is escaped where it comes first.
      name = lib.concatStringsSep "-" (map (part: step (lib.removePrefix "x" (escapeUnit "x${part}"))) (steps way));
    in
    (if lib.hasPrefix "." name then escapes."." + lib.removePrefix "." name else name) + ".mount";

  # What is news: keys and the directories that lead to them, as a regular
  # expression, so that whatever else happens in those wakes nobody.
  news =
    let
      quote = builtins.replaceStrings specials (map (c: "\\${c}") specials);
      specials = lib.stringToCharacters "\\.[]{}()*+?^$|";
      byDir = builtins.groupBy dirOf (builtins.attrValues paths);
      dirs = builtins.attrNames byDir;
      names = dir: lib.concatMapStringsSep "|" (path: quote (baseNameOf path)) byDir.${dir};
      inDir = dir: "${if dir == "/" then "" else quote dir}/(${names dir})";
      all = map quote ways ++ map inDir dirs;
      exact = "^(${lib.concatStringsSep "|" all})/?$";
      # One argument has at most 128 KiB (execve(2)): then whatever is in their
      # directories is news, or anything at all.
      wide = "^(${lib.concatStringsSep "|" (map quote ways)})?(/[^/]*)?$";
      fits = text: builtins.stringLength text < 100000;
    in
    if fits exact then
      exact
    else if fits wide then
      wide
    else
      ".";

  watch = script "watch-keys" [ pkgs.coreutils pkgs.inotify-tools systemd ];

  # --- checks ---------------------------------------------------------------------
  control = text: builtins.match "[^[:cntrl:]]*" text == null;
  variable =
    name: name != "" && !control name && builtins.match "COLMENA_GO_.*|.*=.*" name == null;
  # Names of units as systemd takes them, or without the suffix of a service.
  unitName =
    text:
    let
      full =
        if
          builtins.match ".*[.](service|socket|target|timer|path|mount|automount|swap|slice|scope|device)" text
          != null
        then
          text
        else
          "${text}.service";
    in
    builtins.match "[A-Za-z0-9:_\\][A-Za-z0-9:_.@\\-]*" text != null
    && builtins.match ".*@[.][a-z]*" full == null
    && builtins.stringLength full <= 255;
  owner = text: builtins.match "[A-Za-z0-9_][A-Za-z0-9_.@+-]*\\$?" text != null;

  # What environment.etc puts into /etc: NAME and PATH of those that are in the way
  # of a path, being at it, above it or below it.
  etc =
    let
      all = lib.mapAttrsToList lib.nameValuePair config.environment.etc;
    in
    map (e: {
      inherit (e) name;
      path = clean "/etc/${e.value.target}";
    }) (builtins.filter (e: e.value.enable) all);
  inEtc =
    path:
    let
      leads = from: to: lib.hasPrefix "${from}/" "${to}/";
    in
    if leads "/etc" path then builtins.filter (e: leads e.path path || leads path e.path) etc else [ ];

  octal = text: builtins.match "0*[0-7]{1,4}" text != null;
  plain = path: lib.hasPrefix "/" path && !(lib.hasInfix "/../" "${path}/") && !control path;
  # Of a file that keys can go to.
  open = file: builtins.match "/(run/colmena-go(-keys)?|var/lib/colmena-go|nix/store|proc|sys)/.*|.*/[.]colmena-go[.].*" file == null;

  byPath = builtins.groupBy (name: paths.${name}) (builtins.attrNames keys);

  check =
    name: key:
    let
      at = "deployment.keys.${builtins.toJSON name}";
      sources = builtins.filter (s: s != null) [
        key.text
        key.keyFile
        key.keyCommand
      ];
      twins = lib.remove name byPath.${paths.${name}};
      inTheWay = inEtc paths.${name};
    in
    [
      {
        sound = builtins.length sources == 1;
        message = "${at}: exactly one of text, keyFile and keyCommand must be set.";
      }
      {
        sound = name != "" && !control name;
        message = "${at}: the attribute's name must not be empty or hold control characters, since a unit is named after it.";
      }
      {
        # What systemd takes, with the ".service".
        sound = builtins.stringLength (unit name) <= 247;
        message = "${at}: the name is too long for a unit's, ${unit name}.service.";
      }
      {
        sound =
          !(builtins.elem key.name [
            ""
            "."
            ".."
          ])
          && builtins.match "[^/]*" key.name != null
          && builtins.stringLength key.name <= 255
          && !lib.hasPrefix ".colmena-go." key.name
          && !control key.name;
        message = "${at}.name must be a file name: 1 to 255 bytes, without a slash and control characters, and not beginning with \".colmena-go.\".";
      }
      {
        sound = plain key.destDir;
        message = "${at}.destDir must be an absolute path without \"..\" and control characters.";
      }
      {
        sound = open paths.${name};
        message = "${at}.destDir is no place for keys: choose another.";
      }
      {
        sound = octal key.permissions;
        message = "${at}.permissions must be octal digits, such as \"0600\".";
      }
      {
        sound = owner key.user && owner key.group;
        message = "${at}.user and .group must be names or numbers.";
      }
      {
        sound =
          key.fingerprint == null
          || builtins.stringLength key.fingerprint <= 256 && key.fingerprint != "" && !control key.fingerprint;
        message = "${at}.fingerprint must be a text of 1 to 256 bytes without control characters.";
      }
      {
        sound = key.keyTimeout == null || key.keyTimeout <= 30 * 24 * 60 * 60;
        message = "${at}.keyTimeout must be at most 2592000 seconds.";
      }
      {
        sound = builtins.all variable (builtins.attrNames key.environment);
        message = "${at}.environment must have names of variables without = and control characters, and none that begins with COLMENA_GO_.";
      }
      {
        sound = builtins.all unitName (key.restartUnits ++ key.reloadUnits);
        message = "${at}.restartUnits and .reloadUnits must be names of units: letters, digits and :-_.@\\, no template without its instance, at most 255 bytes.";
      }
      {
        sound = twins == [ ];
        message = "${at} leads to ${key.path}, as do the keys ${toString twins}: give each a path of its own.";
      }
      {
        sound = inTheWay == [ ];
        message = "${at} leads to ${key.path}, where the activation puts environment.etc.${builtins.toJSON (builtins.head inTheWay).name}: choose another destDir or name.";
      }
    ];

  checkDirectory =
    path: dir:
    let
      at = "deployment.keyDirectories.${builtins.toJSON path}";
      others = removeAttrs config.deployment.keyDirectories [ path ];
    in
    [
      {
        sound = plain path;
        message = "${at} must be an absolute path without \"..\" and control characters.";
      }
      {
        sound = open "${clean path}/file";
        message = "${at} is no place for keys: choose another.";
      }
      {
        sound =
          !(builtins.elem (clean path) [
            "/"
            "/run/keys"
          ]);
        message = "${at} is made by NixOS: only directories that an upload makes get an owner.";
      }
      {
        sound = !(builtins.any (other: clean other == clean path) (builtins.attrNames others));
        message = "${at} is set twice, in two spellings.";
      }
      {
        sound = octal dir.permissions;
        message = "${at}.permissions must be octal digits, such as \"0755\".";
      }
      {
        sound = owner dir.user && owner dir.group;
        message = "${at}.user and .group must be names or numbers.";
      }
    ];

  problems = map (c: c.message) (
    builtins.filter (c: !c.sound) (
      lib.concatLists (
        lib.mapAttrsToList check keys ++ lib.mapAttrsToList checkDirectory config.deployment.keyDirectories
      )
    )
  );
in
{
  _file = "colmena-go/keys.nix";

  config = lib.mkIf (keys != { }) {
    # One for all, as merging eight for each key takes longer than asking them.
    assertions = [
      {
        assertion = problems == [ ];
        message = lib.concatStringsSep "\n- " problems;
      }
    ];

    # nixpkgs makes both the group and /run/keys, but not everywhere.
    users.groups.keys = { };

    system.activationScripts = {
      colmenaGoKeys = lib.mkIf (!usersByService) (
        lib.stringAfter (builtins.filter (name: config.system.activationScripts ? ${name}) [
          "users"
          "groups"
        ]) own
      );
    };

    systemd.packages = [ units ];

    systemd.services = {
      # After users that a service makes; and at boot, where the activation
      # script has run before all file systems were mounted.
      colmena-go-key-owners = {
        description = "Gives keys to their owners";
        wantedBy = [ "sysinit.target" ] ++ lib.optional usersByService "sysinit-reactivation.target";
        after = [
          "local-fs.target"
          "userborn.service"
          "systemd-sysusers.service"
        ];
        before = [
          "sysinit.target"
          "sysinit-reactivation.target"
          "shutdown.target"
        ];
        conflicts = [ "shutdown.target" ];
        unitConfig.DefaultDependencies = false;
        serviceConfig = {
          Type = "oneshot";
          ExecStart = own;
        }
        // lib.optionalAttrs (!usersByService) {
          ExecCondition = "${pkgs.runtimeShell} -c '! ${systemd}/bin/systemctl -q is-active sysinit.target'";
        };
      };

      # inotify tells nobody of a mount, but systemd does: what it wants is
      # started with every mount, whoever makes it.
      colmena-go-keys-mounted = {
        description = "Looks at the files of keys where something was mounted";
        wantedBy = map mount ways;
        unitConfig.StartLimitIntervalSec = 0;
        serviceConfig = {
          Type = "oneshot";
          ExecStart = "${systemd}/bin/systemctl --no-block try-restart colmena-go-keys.service";
          LogLevelMax = "notice";
        };
      };

      colmena-go-keys = {
        description = "Follows the files of keys with their units";
        wantedBy = [ "multi-user.target" ];
        # No event comes within 50 ms of the last: more restarts than this come of a
        # start that fails, and would keep systemd busy. The timer tries again.
        unitConfig.StartLimitIntervalSec = 10;
        unitConfig.StartLimitBurst = 200;
        # A restart would only look again, which it does all the time.
        stopIfChanged = false;
        serviceConfig = {
          Type = "forking";
          ExecStart = "${watch} ${watched} ${execWord news}";
          RuntimeDirectory = "colmena-go-keys";
          RuntimeDirectoryMode = "0700";
          RuntimeDirectoryPreserve = "restart";
          Restart = "always";
          # Not to be found waiting for a restart by switch-to-configuration,
          # which takes that for a failure if the last exit status was not 0.
          RestartSec = 0;
          SuccessExitStatus = 2;
          # An upload is not worth four lines of the journal.
          LogLevelMax = "notice";
        };
      };
    };

    systemd.timers.colmena-go-keys = {
      description = "Follows the files of keys again after a failure";
      wantedBy = [ "timers.target" ];
      timerConfig.OnUnitInactiveSec = 60;
    };
  };
}
