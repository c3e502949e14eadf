package remote

import (
	"io"
	"sync"
)

// A session has three streams, in most of which little moves, and there are many
// sessions at once: room for a lot is had only while there is a lot.

// Sizes of what is read at once, in bytes: usually, and while more comes.
const (
	fewBytes  = 1 << 10
	manyBytes = 32 << 10 // a packet's, see RFC 4253
)

var rooms = sync.Pool{New: func() any { return new([manyBytes]byte) }}

// copyAll is [io.Copy].
func copyAll(to io.Writer, from io.Reader) (written int64, err error) {
	few := make([]byte, fewBytes)
	for room := few; ; {
		n, err := from.Read(room)
		if n > 0 {
			took, err := to.Write(room[:n])
			written += int64(took)
			if err != nil {
				giveBack(room)
				return written, err
			}
		}
		if err != nil {
			giveBack(room)
			if err == io.EOF {
				err = nil
			}
			return written, err
		}
		if more := n == len(room); more != (len(room) == manyBytes) {
			giveBack(room)
			room = few
			if more {
				room = rooms.Get().(*[manyBytes]byte)[:]
			}
		}
	}
}

// giveBack has others use room for many bytes.
func giveBack(room []byte) {
	if len(room) == manyBytes {
		rooms.Put((*[manyBytes]byte)(room))
	}
}
