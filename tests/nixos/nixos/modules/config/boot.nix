# Boot and file systems: taken from hives as they are, without effect on a host
# whose container provides both.
{ lib, ... }:
let
  inherit (lib) types mkOption mkEnableOption;

  accepted =
    type: default: description:
    mkOption { inherit type default description; };
in
{
  options = {
    boot = {
      isContainer = accepted types.bool false "Whether this NixOS machine is a lightweight container running in another NixOS system.";
      kernelModules = accepted (types.listOf types.str) [ ] "Kernel modules to load at boot.";
      kernelParams = accepted (types.listOf types.str) [ ] "Parameters added to the kernel command line.";
      kernel.sysctl = accepted (types.attrsOf types.anything) { } "Runtime parameters of the kernel.";
      supportedFilesystems = accepted (types.coercedTo (types.listOf types.str) (
        names: lib.genAttrs names (_: true)
      ) (types.attrsOf types.bool)) { } "File systems the system can mount.";
      tmp.useTmpfs = accepted types.bool false "Whether to mount a tmpfs on {file}`/tmp` during boot.";
      initrd.availableKernelModules = accepted (types.listOf types.str) [ ] "Modules in the initial ramdisk.";
      initrd.kernelModules = accepted (types.listOf types.str) [ ] "Modules loaded by the initial ramdisk.";

      loader = {
        timeout = accepted (types.nullOr types.int) 5 "Seconds until the default entry boots.";
        efi.canTouchEfiVariables = accepted types.bool false "Whether the installation process may modify EFI boot variables.";
        systemd-boot.enable = mkEnableOption "the systemd-boot EFI boot manager";
        grub = {
          enable = accepted types.bool true "Whether to enable the GNU GRUB boot loader.";
          device = accepted types.str "" "The device on which GRUB is installed.";
          devices = accepted (types.listOf types.path) [ ] "The devices on which GRUB is installed.";
          efiSupport = accepted types.bool false "Whether GRUB is built with EFI support.";
        };
      };
    };

    fileSystems = mkOption {
      default = { };
      description = "The file systems to be mounted.";
      type = types.attrsOf (
        types.submodule (
          { name, ... }:
          {
            options = {
              mountPoint = accepted types.str name "Where the file system is mounted.";
              device = accepted (types.nullOr types.str) null "The device to mount.";
              label = accepted (types.nullOr types.str) null "The label of the file system.";
              fsType = accepted types.str "auto" "The type of the file system.";
              options = accepted (types.listOf types.str) [ "defaults" ] "Mount options.";
              neededForBoot = accepted types.bool false "Whether to mount it in the initial ramdisk.";
              autoFormat = accepted types.bool false "Whether to format an empty device.";
            };
          }
        )
      );
    };

    boot.specialFileSystems = mkOption {
      default = { };
      internal = true;
      description = "Special filesystems that are mounted very early during boot.";
      type = types.attrsOf (
        types.submodule (
          { name, ... }:
          {
            options = {
              mountPoint = accepted types.str name "Where the file system is mounted.";
              device = accepted (types.nullOr types.str) null "The device to mount.";
              fsType = accepted types.str "auto" "The type of the file system.";
              options = accepted (types.listOf types.str) [ "defaults" ] "Mount options.";
            };
          }
        )
      );
    };

    swapDevices = mkOption {
      default = [ ];
      description = "The swap devices and files.";
      type = types.listOf (
        types.submodule {
          options = {
            device = mkOption {
              type = types.nonEmptyStr;
              description = "The device or file.";
            };
            size = accepted (types.nullOr types.int) null "Size in MiB of a file to create.";
          };
        }
      );
    };
  };

  # The activation script's specialfs mounts this one.
  config.boot.specialFileSystems."/run/keys" = {
    fsType = "ramfs";
    options = [
      "nosuid"
      "nodev"
      "mode=750"
    ];
  };
}
