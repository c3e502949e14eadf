# What people do here. Every target does its own set-up.
.PHONY: build test demo bench lint setup clean

build:
	go build -o .cache/colmena-go .

# Installs the Debian packages that hosts and tests need (as root) and makes the
# hosts' root file system.
setup:
	@go run ./tests/fleet/cmd/fleet setup

test: lint
	@tests/run.sh

demo:
	@sh examples/demo/run.sh

bench: setup
	@go build -o .cache/bench ./tests/bench && .cache/bench

lint:
	@test -z "$$(gofmt -l .)" || { echo "gofmt: $$(gofmt -l .)"; exit 1; }
	go vet ./...
	GOOS=darwin go vet ./...
	go tool staticcheck ./...
	@sh tests/shellcheck.sh

clean:
	rm -rf .cache
