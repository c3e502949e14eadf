# Packages whose programs are those of the host: links into /usr, so that a
# closure stays small and scripts find exactly the programs they asked for.
final: prev:
let
  inherit (prev) lib;

  words = text: builtins.filter (w: builtins.isString w && w != "") (builtins.split "[ \n]+" text);

  # sbin: programs that Debian keeps in /usr/sbin. attrs goes to the package.
  hostPackage =
    pname:
    {
      bin ? pname,
      sbin ? "",
      mainProgram ? builtins.head (words bin ++ words sbin),
      passthru ? { },
      links ? "",
    }:
    final.stdenv.mkDerivation {
      name = pname;
      inherit passthru;
      meta = { inherit mainProgram; };
      buildCommand = ''
        mkdir -p $out/bin
        for program in ${toString (words bin)}; do ln -s "/usr/bin/$program" $out/bin/; done
        for program in ${toString (words sbin)}; do ln -s "/usr/sbin/$program" $out/bin/; done
        ${links}
      '';
    };
  one = pname: hostPackage pname { };
in
lib.mapAttrs hostPackage {
  coreutils.bin = ''
    [ arch b2sum base32 base64 basename cat chgrp chmod chown cksum comm cp
    csplit cut date dd df dir dircolors dirname du echo env expand expr factor
    false fmt fold groups head hostid id install join link ln logname ls md5sum
    mkdir mkfifo mknod mktemp mv nice nl nohup nproc numfmt od paste pathchk
    pinky pr printenv printf ptx pwd readlink realpath rm rmdir runcon seq
    sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort split
    stat stdbuf stty sum sync tac tail tee test timeout touch tr true truncate
    tsort tty uname unexpand uniq unlink users vdir wc who whoami yes
  '';
  coreutils.sbin = "chroot";
  coreutils.mainProgram = "ls";
  findutils.bin = "find xargs";
  gnugrep.bin = "grep egrep fgrep";
  gnused.bin = "sed";
  gawk.bin = "awk";
  gnutar.bin = "tar";
  gzip.bin = "gzip gunzip zcat";
  zstd.bin = "zstd unzstd";
  diffutils.bin = "diff cmp";
  util-linux.bin = ''
    flock mount umount findmnt mountpoint nsenter unshare setsid setpriv logger
    kill lsblk lscpu ionice chrt taskset prlimit rename rev column hexdump
    getopt script su ipcs ipcrm last lslocks
  '';
  util-linux.sbin = "runuser losetup blkid swapon swapoff blockdev";
  util-linux.mainProgram = "mount";
  inotify-tools.bin = "inotifywait inotifywatch";
  procps.bin = "ps pgrep pkill free top uptime vmstat w watch";
  procps.sbin = "sysctl";
  systemd = {
    bin = ''
      systemctl journalctl systemd-run systemd-tmpfiles systemd-notify
      systemd-escape systemd-cat systemd-analyze systemd-detect-virt
      systemd-inhibit systemd-cgls systemd-id128 systemd-creds busctl loginctl
      hostnamectl timedatectl systemd-stdio-bridge systemd-machine-id-setup
    '';
    links = "mkdir -p $out/lib; ln -s /usr/lib/systemd $out/lib/systemd";
  };
  iproute2.bin = "ip ss";
  iproute2.sbin = "bridge tc";
  getent.bin = "getent";
  glibc.bin = "getent getconf locale";
  shadow.bin = "chage passwd newgrp";
  shadow.sbin = "useradd userdel usermod groupadd groupdel groupmod nologin";
  nettools.bin = "hostname";
  openssh.bin = "ssh ssh-keygen ssh-add ssh-agent scp sftp ssh-keyscan";
  openssh.sbin = "sshd";
  nix.bin = "nix nix-env nix-store nix-daemon nix-build nix-instantiate nix-copy-closure nix-collect-garbage";
  perl.bin = "perl";
  bash = {
    bin = "bash";
    passthru.shellPath = "/bin/bash";
    links = "ln -s bash $out/bin/sh";
  };
  fish = {
    bin = "fish";
    passthru.shellPath = "/bin/fish";
  };
  acl.bin = "getfacl setfacl";
  attr.bin = "getfattr setfattr";
  e2fsprogs.bin = "lsattr chattr";
}
// lib.genAttrs [
  "curl"
  "git"
  "htop"
  "jq"
  "less"
  "rsync"
  "sudo"
  "tmux"
  "vim"
  "wget"
] one
// {
  bashInteractive = final.bash;
  runtimeShell = "${final.bash}${final.bash.shellPath}";
  runtimeShellPackage = final.bash;
  procps-ng = final.procps;
  hostname = final.nettools;
  net-tools = final.nettools;
  systemdMinimal = final.systemd;

  hello = final.writeShellScriptBin "hello" ''
    echo "Hello, world!"
  '';

  # A server that accepts nothing and stays: enough to be started and stopped.
  nginx = final.writeShellScriptBin "nginx" ''
    exec sleep infinity
  '';
}
