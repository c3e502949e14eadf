package remote

import (
	"context"

	"github.com/colmena-go/colmena-go/pkg/scratch"
)

// Store gives the host's store a URL on this machine, for Nix: a socket of its own,
// each of whose connections becomes a nix-daemon that runs as root on the host. A
// daemon that stands still is ended with [ErrStalled]. stop ends all of it, waits,
// and returns what went wrong on the host, with the last it said on stderr: that is
// why Nix here lost its connection. Nobody else on this machine reaches the socket.
func (h *Host) Store(ctx context.Context) (url string, stop func() error, err error) {
	return h.store(ctx, "nix-daemon --stdio")
}

// Traffic is how many bytes went to and came from the host through its Stores, all
// that there were. It may be asked at any time.
func (h *Host) Traffic() (sent, received int64) {
	return h.traffic.sent.Load(), h.traffic.received.Load()
}

// store is Store with another daemon.
func (h *Host) store(ctx context.Context, daemon string) (url string, stop func() error, err error) {
	// Of its own, as whoever reaches the socket is root on the host.
	dir, remove, err := scratch.Dir()
	if err != nil {
		return "", nil, err
	}
	socket, end, err := h.forward(ctx, dir, daemon)
	if err != nil {
		remove()
		return "", nil, err
	}
	return "unix://" + socket, func() error {
		defer remove()
		return end()
	}, nil
}
