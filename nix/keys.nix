# What every node gets for its keys: checks, owners, and a unit for each key.
# The content of a key is never part of the system; `text` is only compared
# with null here.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  keys = config.deployment.keys;
  names = builtins.attrNames keys;

  # --- unit names -----------------------------------------------------------
  # What systemd does not take literally is written as \xNN, byte by byte, the
  # way pkg/hive's Key.Unit does.
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

  literal = lib.stringToCharacters "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_-.";

  escapeUnit =
    name:
    let
      chars = lib.stringToCharacters name;
      escape = c: if builtins.elem c literal then c else escapes.${c};
      first = builtins.head chars;
    in
    (if first == "." then escapes."." else escape first) + lib.concatMapStrings escape (builtins.tail chars);

  unit = name: "${escapeUnit name}-key";

  # A word of ExecStart= (systemd.service(5), "Command lines").
  execWord =
    text: "\"${builtins.replaceStrings [ "\\" "\"" "%" "$" ] [ "\\\\" "\\\"" "%%" "$$" ] text}\"";

  # Lines of words separated by tabs, for the scripts; no option that goes in
  # here may hold either, see the assertions.
  table =
    name: rows:
    pkgs.writeText name (lib.concatMapStrings (row: lib.concatStringsSep "	" row + "\n") rows);

  script =
    name: text:
    pkgs.writeScript "colmena-go-${name}" ''
      #!${pkgs.runtimeShell}
      PATH=${lib.makeBinPath [ pkgs.coreutils pkgs.inotify-tools (config.systemd.package or pkgs.systemd) ]}
      set -fu
      ${text}
    '';

  # --- owners -----------------------------------------------------------------
  early = lib.filterAttrs (_: key: key.uploadAt == "pre-activation") keys;

  owners = table "colmena-go-key-owners" (
    lib.mapAttrsToList (name: key: [
      key.path
      key.user
      key.group
      key.permissions
      name
    ]) early
  );

  # The tool leaves a key to root whose owner is yet to be made. Only what
  # nobody but root can have put there is given away: in a directory that others
  # can write, the tool replaces the file itself once the owner exists.
  own = script "own-keys" ''
    IFS='	' failed=0 paths=()
    guarded() {
      local at=$1 list=()
      while :; do
        list+=("$at")
        [ "$at" != / ] || break
        at=''${at%/*}
        at=''${at:-/}
      done
      local uid mode
      while IFS=' ' read -r uid mode; do
        [ "$uid" = 0 ] && (((0$mode & 022) == 0)) || return 1
      done < <(stat -c '%u %a' -- "''${list[@]}")
    }
    while read -r path user group mode name; do
      if [ -f "$path" ] && [ ! -L "$path" ]; then paths+=("$path"); fi
    done <"$1"
    [ ''${#paths[@]} -gt 0 ] || exit 0
    exec 3< <(stat -c '%u	%U	%g	%G	%h' -- "''${paths[@]}")
    while read -r path user group mode name; do
      [ -f "$path" ] && [ ! -L "$path" ] || continue
      read -r uid owner gid team links <&3 || break
      if [ "$user" = "$uid" ] || [ "$user" = "$owner" ]; then
        if [ "$group" = "$gid" ] || [ "$group" = "$team" ]; then continue; fi
      fi
      if [ "$links" != 1 ] || ! guarded "$(readlink -f -- "''${path%/*}/")"; then
        echo "key $name: its directory can be written by others than root; the owner is set by the next upload" >&2
        continue
      fi
      if ! { chown -h -- "$user:$group" "$path" && chmod -- "$mode" "$path"; }; then
        echo "key $name: $path cannot be given to $user:$group" >&2
        failed=1
      fi
    done <"$1"
    exit $failed
  '';

  # Users are made by a service, later than the activation script, in these.
  usersByService = (config.services.userborn.enable or false) || (config.systemd.sysusers.enable or false);

  # --- units --------------------------------------------------------------------
  waitFor = script "await-key" ''
    until [ -e "$1" ]; do sleep 0.2; done
  '';

  watched = table "colmena-go-keys" (
    lib.mapAttrsToList (name: key: [
      "${unit name}.service"
      key.path
    ]) keys
  );

  # Watch first, then look, so that nothing comes or goes unseen; end, and leave
  # one process behind, which ends at the first event and has us run again.
  watch = script "watch-keys" ''
    declare -A dirs
    while IFS='	' read -r unit path; do
      dir=''${path%/*}
      while [ ! -d "''${dir:-/}" ]; do dir=''${dir%/*}; done
      dirs[''${dir:-/}]=1
    done <"$1"
    fifo=$RUNTIME_DIRECTORY/ready
    rm -f "$fifo"
    mkfifo -m 0600 "$fifo"
    # What an upload does beside the keys is no news.
    inotifywait -t 600 --exclude '/\.colmena-go\.' -e create -e moved_to -e moved_from -e delete -e delete_self -e move_self -e unmount \
      -- "''${!dirs[@]}" >/dev/null 2>"$fifo" &
    while read -r line; do
      case $line in *established*) break ;; esac
    done <"$fifo"

    look() {
      local unit path key value id= state start=() stop=() units=()
      declare -A states
      waiting=
      while IFS='	' read -r unit path; do units+=("$unit"); done <"$1"
      while IFS='=' read -r key value; do
        case $key in
          Id) id=$value ;;
          ActiveState) state=$value ;;
        esac
        if [ -n "$id" ] && [ -n "''${state-}" ]; then
          states[$id]=$state
          id= state=
        fi
      done < <(systemctl show -p Id -p ActiveState -- "''${units[@]}")
      while IFS='	' read -r unit path; do
        state=''${states[$unit]-inactive}
        if [ -e "$path" ]; then
          case $state in active | activating) ;; *) start+=("$unit") ;; esac
        else
          case $state in
            active | reloading) stop+=("$unit") ;;
            activating) waiting=1 ;;
          esac
        fi
      done <"$1"
      [ ''${#stop[@]} = 0 ] || systemctl stop --no-block -- "''${stop[@]}"
      [ ''${#start[@]} = 0 ] || systemctl start --no-block -- "''${start[@]}"
    }
    look "$1"
    # A unit that starts without its file waits for it, or has just missed that
    # the file went again: the second look tells.
    if [ -n "$waiting" ]; then
      sleep 0.5
      look "$1"
    fi
  '';

  # --- checks ---------------------------------------------------------------------
  control = text: builtins.match "[^[:cntrl:]]*" text == null;
  owner = text: builtins.match "[A-Za-z0-9_][A-Za-z0-9_.@+-]*\\$?" text != null;

  check =
    name: key:
    let
      at = "deployment.keys.${builtins.toJSON name}";
      sources = builtins.filter (s: s != null) [
        key.text
        key.keyFile
        key.keyCommand
      ];
      twins = builtins.filter (other: other != name && keys.${other}.path == key.path) names;
    in
    [
      {
        assertion = builtins.length sources == 1;
        message = "${at}: exactly one of text, keyFile and keyCommand must be set.";
      }
      {
        assertion = name != "" && !control name;
        message = "${at}: the attribute's name must not be empty or hold control characters, since a unit is named after it.";
      }
      {
        assertion =
          !(builtins.elem key.name [
            ""
            "."
            ".."
          ])
          && builtins.match "[^/]*" key.name != null
          && !control key.name;
        message = "${at}.name must be a file name: not empty, without a slash and control characters.";
      }
      {
        assertion = lib.hasPrefix "/" key.destDir && !(lib.hasInfix "/../" "${key.destDir}/") && !control key.destDir;
        message = "${at}.destDir must be an absolute path without \"..\" and control characters.";
      }
      {
        assertion = builtins.match "0*[0-7]{1,4}" key.permissions != null;
        message = "${at}.permissions must be octal digits, such as \"0600\".";
      }
      {
        assertion = owner key.user && owner key.group;
        message = "${at}.user and .group must be names or numbers.";
      }
      {
        assertion = twins == [ ];
        message = "${at} leads to ${key.path}, as do the keys ${toString twins}: give each a path of its own.";
      }
    ];
in
{
  _file = "colmena-go/keys.nix";

  config = lib.mkIf (keys != { }) {
    assertions = lib.concatLists (lib.mapAttrsToList check keys);

    # nixpkgs makes both the group and /run/keys, but not everywhere.
    users.groups.keys = { };

    system.activationScripts = {
      colmenaGoKeys = lib.mkIf (!usersByService) (
        lib.stringAfter
          (builtins.filter (name: config.system.activationScripts ? ${name}) [
            "users"
            "groups"
          ])
          ''
            if [ -d /run/keys ] && [ "$(stat -c %G:%a /run/keys)" != keys:750 ]; then
              chown root:keys /run/keys && chmod 0750 /run/keys
            fi
            ${own} ${owners}
          ''
      );
    };

    systemd.services = {
      colmena-go-key-owners = lib.mkIf usersByService {
        description = "Gives keys to their owners";
        wantedBy = [
          "sysinit.target"
          "sysinit-reactivation.target"
        ];
        after = [
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
          ExecStart = "${own} ${owners}";
        };
      };

      colmena-go-keys = {
        description = "Follows the files of keys with their units";
        wantedBy = [ "multi-user.target" ];
        unitConfig.StartLimitIntervalSec = 0;
        # A restart would only look again, which it does all the time.
        stopIfChanged = false;
        serviceConfig = {
          Type = "forking";
          ExecStart = "${watch} ${watched}";
          RuntimeDirectory = "colmena-go-keys";
          RuntimeDirectoryMode = "0700";
          Restart = "always";
          RestartSec = "50ms";
          SuccessExitStatus = "1 2";
        };
      };
    }
    // lib.mapAttrs' (
      name: key:
      lib.nameValuePair (unit name) {
        description = "Key ${builtins.replaceStrings [ "%" ] [ "%%" ] name}";
        unitConfig.StartLimitIntervalSec = 0;
        # It is active while the file is there, whatever else changes.
        restartIfChanged = false;
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          TimeoutStartSec = "infinity";
          ExecStart = "${waitFor} ${execWord key.path}";
        };
      }
    ) keys;
  };
}
