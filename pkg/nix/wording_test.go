package nix

import "testing"

// As Nix 2.26 and 2.34 say it.
func TestWhatNewerVersionsSayIsReadAsThatOf28(t *testing.T) {
	for newer, want := range map[string]string{
		"Cannot build '/nix/store/x.drv'.\nReason: builder failed with exit code 3.\nOutput paths:\n  /nix/store/x\nLast 1 log lines:\n> it said":    "builder for '/nix/store/x.drv' failed with exit code 3",
		"Cannot build '/nix/store/x.drv'.\nReason: builder failed due to signal 9 (Killed).":                                                         "builder for '/nix/store/x.drv' failed due to signal 9 (Killed)",
		"Cannot build '/nix/store/x.drv'.\nReason: builder failed to produce output path for output 'out'":                                           "builder for '/nix/store/x.drv' failed to produce output path for output 'out'",
		"Cannot build '/nix/store/x.drv'.\nReason: 2 dependencies failed.\nOutput paths:\n  /nix/store/x":                                            "2 dependencies of derivation '/nix/store/x.drv' failed to build",
		"Cannot build '/nix/store/x.drv'.\nReason: platform mismatch\nRequired system: 'a'\nOutput paths:\n  /nix/store/x":                           "Cannot build '/nix/store/x.drv'.\nReason: platform mismatch\nRequired system: 'a'",
		"Path 'a b/web.nix' in the repository \"/r\" is not tracked by Git.\n\nTo make it visible to Nix, run:\n\ngit -C \"/r\" add \"a b/web.nix\"": "path '/r/a b/web.nix' is not tracked by Git",
		"Path 'web.nix' does not exist in Git repository \"/r\".":                                                                                    "path '/r/web.nix' does not exist",
		"reading directory /a b/c: No such file or directory":                                                                                        "opening directory '/a b/c': No such file or directory",
		"cannot read directory \"/etc/passwd\": Not a directory":                                                                                     "opening directory '/etc/passwd': Not a directory",
		"what nobody knows": "what nobody knows",
	} {
		if got := InOldWords(newer); got != want {
			t.Errorf("%q\nis %q\nwant %q", newer, got, want)
		}
	}
}
