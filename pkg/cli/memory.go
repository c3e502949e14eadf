package cli

import "runtime"

// heapFloor is the size of what the collector takes for garbage before it looks for it,
// in bytes: with little in use it would look again and again. Nothing of this is touched, so that it is no memory of the machine's.
const heapFloor = 32 << 20

// keepHeapFloor has the collector work less until release is called.
func keepHeapFloor() (release func()) {
	floor := make([]byte, heapFloor)
	return func() { runtime.KeepAlive(&floor[0]) }
}
