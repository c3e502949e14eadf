{ lib }:
rec {
  flakeExposed = [
    "x86_64-linux"
    "aarch64-linux"
  ];

  platforms = rec {
    linux = flakeExposed;
    unix = linux;
    all = linux;
  };

  # What pkgs.stdenv.hostPlatform tells about a system.
  elaborate =
    args:
    let
      system = if builtins.isString args then args else args.system;
      cpu = builtins.head (builtins.match "([^-]+)-.*" system);
    in
    {
      inherit system;
      config = "${cpu}-unknown-linux-gnu";
      isLinux = true;
      isDarwin = false;
      is64bit = true;
      isx86_64 = cpu == "x86_64";
      isAarch64 = cpu == "aarch64";
      linuxArch = if cpu == "aarch64" then "arm64" else cpu;
      parsed.cpu.name = cpu;
      parsed.kernel.name = "linux";
      canExecute = platform: platform.system == system;
    };
  equals = a: b: a.system == b.system;
}
