# Run once in the new root file system: what makes a small Debian behave like a
# NixOS host as far as a deployment tool can see.
systemctl mask systemd-udevd.service systemd-udev-trigger.service systemd-networkd-wait-online.service \
  getty.target console-getty.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
  fstrim.timer e2scrub_all.timer systemd-timesyncd.service systemd-logind.service nix-daemon.socket \
  nix-daemon.service systemd-pcrlock.socket systemd-resolved.service
systemctl disable ssh.socket || :
systemctl enable ssh.service
systemctl set-default multi-user.target

useradd -m -u 1000 -s /bin/bash alice
useradd -m -u 1001 -s /bin/bash deployer
useradd -m -u 1002 -s /usr/bin/fish fishy
for user in alice deployer fishy; do
  usermod -p '*' $user # no password, but not locked, or sshd lets nobody in
done
printf '%s ALL=(ALL) NOPASSWD: ALL\n' deployer fishy >/etc/sudoers.d/deployer
chmod 0440 /etc/sudoers.d/deployer

mkdir -p /etc/nix /nix/var/nix/profiles /etc/ssh/sshd_config.d
cat >/etc/nix/nix.conf <<'CONF'
experimental-features = nix-command flakes
sandbox = false
build-users-group =
substituters =
require-sigs = true
CONF
cat >/etc/ssh/sshd_config.d/fleet.conf <<'CONF'
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
UseDNS no
MaxStartups 200
CONF
rm -f /etc/ssh/ssh_host_*

# Nothing asks a name server, not even sudo for its own host's name: there is none.
: >/etc/resolv.conf
sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf
grep -q '^hosts: files$' /etc/nsswitch.conf

# On NixOS /run/keys is a file system in memory, mounted before any deployment.
cat >/etc/systemd/system/run-keys.mount <<'UNIT'
[Unit]
DefaultDependencies=no
Before=local-fs.target
[Mount]
What=ramfs
Where=/run/keys
Type=ramfs
Options=mode=0750,nosuid,nodev
UNIT
systemctl enable run-keys.mount || ln -s ../run-keys.mount /etc/systemd/system/local-fs.target.wants/run-keys.mount
mkdir -p /etc/systemd/system/local-fs.target.wants
ln -sf ../run-keys.mount /etc/systemd/system/local-fs.target.wants/run-keys.mount
rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb /usr/share/doc/* /usr/share/man/*

# Nothing is to be made up for at the first boot: else Debian's own
# systemd-sysusers.service runs and lives on under the name of NixOS's.
touch -r /usr /etc/.updated /var/.updated
