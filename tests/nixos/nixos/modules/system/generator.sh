#!/bin/sh
# A systemd generator: generator NORMAL-DIR EARLY-DIR LATE-DIR. Gives systemd the
# units of the system that is current or, while the host boots, of the one that
# was made its default; and the unit that activates the latter.
early=$2
entry=$(readlink -e "$(cat /boot/nixos-entry 2>/dev/null)")
system=$(readlink -e /run/current-system)

# PID 1 makes this socket after the first run of its generators.
if [ ! -S /run/systemd/notify ] && [ -z "$system" ]; then
  system=$entry
fi
units=$system/etc/systemd/system
[ -n "$system" ] && [ -d "$units/" ] || exit 0

cp -a "$units/." "$early/" || exit 1
chmod -R u+w "$early"

boot=nixos-boot-activation.service
if [ -n "$entry" ]; then
  cat > "$early/$boot" <<UNIT
[Unit]
Description=Activate the NixOS system this host boots
DefaultDependencies=no
ConditionPathExists=!/run/current-system
Conflicts=shutdown.target
After=systemd-remount-fs.service run-keys.mount
Before=sysinit.target shutdown.target systemd-tmpfiles-setup.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=$entry/activate
ExecStartPost=/bin/ln -sfn $entry /run/booted-system
StandardOutput=journal
UNIT
  mkdir -p "$early/sysinit.target.wants"
  ln -sf "../$boot" "$early/sysinit.target.wants/$boot"

  # NixOS activates before systemd starts anything of the system's: here that
  # must be said to the units that would not wait for sysinit.target. Some come
  # before local file systems, so the activation cannot come after those.
  grep -ls '^DefaultDependencies=\(false\|no\)' "$units"/*.service | while read -r unit; do
    dropin=$early/$(basename "$unit").d
    mkdir -p "$dropin"
    printf '[Unit]\nAfter=%s\n' "$boot" > "$dropin/nixos-boot.conf"
  done
fi
