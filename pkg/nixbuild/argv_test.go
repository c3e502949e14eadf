package nixbuild

import (
	"testing"

	"github.com/colmena-go/colmena-go/pkg/nix"
	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// unbuilt is a path that no store has.
const unbuilt = "/nix/store/00000000000000000000000000000000-none"

func TestNixBuildsAsTheUserAskedFor(t *testing.T) {
	with := func(options ...[2]string) nix.Tool { return nix.Tool{Options: options} }
	for _, c := range []struct {
		name       string
		tool       nix.Tool
		opts       BuilderOptions
		root       string
		has, lacks string
	}{
		{"--nix-option is for builds", with([2]string{"cores", "2"}, [2]string{"substituters", "a b"}), BuilderOptions{}, "",
			" --option cores 2 --option substituters a b /nix/store/x.drv ", "builders"},
		{"meta.machinesFile names the builders", with(), BuilderOptions{MachinesFile: "/etc/my machines"}, "",
			" --option builders @/etc/my machines", ""},
		// The last one counts.
		{"whatever --nix-option says of them", with([2]string{"builders", "ssh://other"}), BuilderOptions{MachinesFile: "/m"}, "",
			" --option builders ssh://other --option builders @/m ", ""},
		{"--build-jobs is max-jobs, whatever --nix-option says of that", with([2]string{"max-jobs", "1"}), BuilderOptions{Jobs: "auto"}, "",
			" --option max-jobs 1 --option max-jobs auto /nix/store/x.drv", ""},
		{"one that comes later looks often at what another builds", with(), BuilderOptions{}, "",
			"\nnix-store --realise --keep-going --log-format internal-json --no-gc-warning --option build-poll-interval 1 /nix/store/x.drv", ""},
		{"--keep-result makes a root", with(), BuilderOptions{}, "/hives/.gcroots/node-a",
			"\nnix-store --realise " + unbuilt + " --add-root /hives/.gcroots/node-a", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := nixenv.StandIn(t)
			b := New(c.tool, c.opts)
			defer b.Close()
			if err := b.Build(t.Context(), Build{DrvPath: "/nix/store/x.drv", OutPath: unbuilt, GCRoot: c.root}); err != nil {
				t.Fatal(err)
			}
			nixenv.Calls{Begin: "nix-store --serve ", Has: c.has, Lacks: c.lacks}.Check(t, calls())
		})
	}
}

func TestSystemsGoToACacheTogetherAndOptionsStayHere(t *testing.T) {
	calls := nixenv.StandIn(t)
	b := New(nix.Tool{Options: [][2]string{{"cores", "2"}}}, BuilderOptions{})
	defer b.Close()
	if err := b.Cache("s3://bucket?region=x").Put(t.Context(), "/nix/store/x", nil); err != nil {
		t.Fatal(err)
	}
	nixenv.Calls{Begin: "nix ", Has: " copy --no-check-sigs --to s3://bucket?region=x /nix/store/x ", Lacks: "option"}.Check(t, calls())
}
