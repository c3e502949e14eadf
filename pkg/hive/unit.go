package hive

import (
	"fmt"
	"strings"
)

// Unit is the systemd service that is active while the key's file is present.
// It is named after the attribute, as NixOps and Colmena do, with whatever
// systemd does not take literally written as \xNN (systemd.unit(5), "String
// escaping for inclusion in unit names"). An @ stays: the name is that of an
// instance, which needs no template. nix/keys.nix makes the same name.
func (k Key) Unit() string {
	var b strings.Builder
	for i := 0; i < len(k.Attr); i++ {
		switch c := k.Attr[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9',
			c == ':', c == '_', c == '-', (c == '.' || c == '@') && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String() + "-key.service"
}
