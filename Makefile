# What people do here. Every target does its own set-up.
.PHONY: build dist test demo bench lint setup clean

build:
	go build -o .cache/colmena-go .

# What a release has: binaries that need no library of the system's, and their
# sums. DIST names another folder for them.
DIST = .cache/dist
dist:
	@sh -eu -c 'version=$$(sed -n "s/^const Number = \"\(.*\)\"/\1/p" pkg/version/version.go); mkdir -p "$(DIST)"; \
	for os in linux darwin; do for arch in amd64 arm64; do \
	  CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -trimpath -ldflags "-s -w" -o "$(DIST)/colmena-go-$$version-$$os-$$arch" .; \
	done; done; \
	cd "$(DIST)"; sha256sum colmena-go-$$version-* >SHA256SUMS; cat SHA256SUMS'

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
