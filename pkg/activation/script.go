package activation

import (
	"bytes"
	"embed"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

// The rooms of the script that starts and follows an activation, and those of the
// script that it writes for the activation's unit.
//
//go:embed host/*.sh unit/*.sh
var rooms embed.FS

var hostScript = withUnit(hostscript.Join(rooms, "host/*.sh"))

// withUnit puts each file of unit/ where the script has its name between two @,
// within single quotes: the files hold none.
func withUnit(script []byte) []byte {
	for _, name := range []string{"alive.sh", "run.sh"} {
		text, err := rooms.ReadFile("unit/" + name)
		if err != nil { // what is embedded can be read
			panic(err)
		}
		script = bytes.Replace(script, []byte("@"+name+"@"), bytes.TrimSpace(text), 1)
	}
	return script
}
