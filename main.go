// Command colmena-go deploys NixOS to many hosts and delivers their secrets.
package main

import (
	"os"

	"github.com/colmena-go/colmena-go/pkg/cli"
)

func main() { os.Exit(cli.Main(os.Args)) }
