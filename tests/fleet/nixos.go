package fleet

import "fmt"

// BecomeNixOS powers the host off and has it boot, now and from now on, the
// system that its profile names, a real NixOS: stage 2 is PID 1 at first, and no
// unit, user or setting of the root file system is left, only programs.
func (h *Host) BecomeNixOS() error {
	if err := h.Stop(); err != nil {
		return err
	}
	err := sh(fmt.Sprintf(`cd %s/root
find etc -mindepth 1 -maxdepth 1 ! -name hostname ! -name hosts ! -name machine-id ! -name ssh ! -name alternatives ! -name ld.so.conf ! -name ld.so.conf.d ! -name ld.so.cache -exec rm -rf {} +
find etc/ssh -mindepth 1 ! -name 'ssh_host_*' -delete
rm -rf usr/lib/systemd/system usr/lib/systemd/user usr/lib/tmpfiles.d usr/lib/sysusers.d usr/lib/sysctl.d var/lib/dbus
touch etc/NIXOS`, h.dir))
	if err != nil {
		return err
	}
	h.init = "/nix/var/nix/profiles/system/init"
	return h.Start()
}
