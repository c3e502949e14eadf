package nixbuild

import (
	"bufio"
	"context"
	"io"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

// graph tells which derivations need which paths, as `nix-store --query --graph`
// prints it. The store's directory is not part of its names.
type graph struct {
	ids   map[string]int32
	users [][]int32 // by id: who has this one as an input
}

// askGraph asks Nix for what derivations need, all the way down.
func askGraph(ctx context.Context, tool nix.Tool, drvPaths []string) (*graph, error) {
	cmd := tool.Command(ctx, "nix-store", append([]string{"--query", "--graph"}, drvPaths...)...)
	read, write := io.Pipe()
	cmd.Stdout = write
	var g *graph
	done := make(chan struct{})
	go func() {
		defer crash.Guard()
		defer close(done)
		g = readGraph(read)
	}()
	err := tool.Run(ctx, cmd, nil)
	write.Close()
	<-done
	return g, err
}

// readGraph reads lines like `"INPUT" -> "USER" [color = "black"];`.
func readGraph(r io.Reader) *graph {
	g := &graph{ids: map[string]int32{}}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if part := strings.SplitN(line, `"`, 5); len(part) == 5 && part[2] == " -> " {
			input, user := g.id(part[1]), g.id(part[3])
			g.users[input] = append(g.users[input], user)
		}
		if err != nil {
			return g
		}
	}
}

func (g *graph) id(name string) int32 {
	id, ok := g.ids[name]
	if !ok {
		id = int32(len(g.users))
		g.ids[strings.Clone(name)] = id
		g.users = append(g.users, nil)
	}
	return id
}

// usedBy returns a function that tells whether a derivation is, or needs, path.
func (g *graph) usedBy(path string) func(drvPath string) bool {
	seen := map[int32]bool{}
	if id, ok := g.ids[storeBase(path)]; ok {
		seen[id] = true
		for next := []int32{id}; len(next) > 0; {
			id, next = next[len(next)-1], next[:len(next)-1]
			for _, user := range g.users[id] {
				if !seen[user] {
					seen[user] = true
					next = append(next, user)
				}
			}
		}
	}
	return func(drvPath string) bool {
		if storeBase(drvPath) == storeBase(path) {
			return true
		}
		id, ok := g.ids[storeBase(drvPath)]
		return ok && seen[id]
	}
}
