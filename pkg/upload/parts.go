package upload

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/colmena-go/colmena-go/pkg/secret"
)

// part is a piece of what is sent: a text, or a key's content, which may lie elsewhere
// until then.
type part struct {
	text []byte

	attr    string // of the key whose content it is; "" for a text
	content secret.Secret
}

func (p part) size() int64 {
	if p.attr == "" {
		return int64(len(p.text))
	}
	return int64(p.content.Len())
}

func sizeOf(parts []part) (size int64) {
	for _, p := range parts {
		size += p.size()
	}
	return size
}

// sendParts writes the parts one after the other, without a copy of them all. It fails as
// the channel does, or with a [*secret.SourceError].
func (c *channel) sendParts(ctx context.Context, parts []part) error {
	w := bufio.NewWriterSize(c.stdin, 64<<10) // most parts are small
	for _, p := range parts {
		var err error
		if p.attr == "" {
			_, err = w.Write(p.text)
		} else if err = p.content.Send(ctx, w); err != nil {
			err = fmt.Errorf("the source of key %q: %w", p.attr, err)
		}
		if err != nil {
			return err
		}
	}
	return w.Flush()
}

// withoutLast takes the last byte off what is to be sent, which is never one of a content.
func withoutLast(parts []part) (rest []part, last []byte) {
	for i := len(parts) - 1; i >= 0; i-- {
		if n := len(parts[i].text); n > 0 {
			rest = append(slices.Clone(parts[:i]), part{text: parts[i].text[:n-1]})
			return rest, parts[i].text[n-1:]
		}
	}
	return nil, nil
}

// noSource ends the conversation where a content could not be sent as it was looked at: the
// host gets no last byte, and so changes nothing.
func (c *channel) noSource(sent error) error {
	var source *secret.SourceError
	if !errors.As(sent, &source) {
		return nil
	}
	c.finish()
	return fmt.Errorf("%w; no key was changed on the host", sent)
}
