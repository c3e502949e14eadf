package knownhosts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
)

// Files reads files that are asked about again and again, and takes only that apart of
// them which has not been there before. The zero value is ready for use, by many
// goroutines.
type Files struct {
	mu   sync.Mutex
	read map[string]*read // by file
	room bytes.Buffer     // for the file at hand
}

// read is what a file was when it was read last.
type read struct {
	text  []byte
	parts []*part
}

// mostParts is how many parts a file may have that grows line by line.
const mostParts = 32

// Read reads files; those that do not exist are empty.
func (f *Files) Read(files ...string) (k Known, err error) {
	for _, file := range files {
		parts, err := f.readOne(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Known{}, fmt.Errorf("known_hosts: %w", err)
		}
		k.parts = append(k.parts, parts...)
	}
	return k, nil
}

// Read is [Files.Read] of files that are asked about once.
func Read(files ...string) (Known, error) { return new(Files).Read(files...) }

func (f *Files) readOne(file string) ([]*part, error) {
	from, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	parts, _, err := f.parts(file, from)
	return parts, err
}

// parts are those of a file that is read to its end, and whether a line more may follow
// as it stands.
func (f *Files) parts(file string, from io.Reader) (parts []*part, complete bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.room.Reset()
	if _, err := f.room.ReadFrom(from); err != nil {
		return nil, false, err
	}
	text := f.room.Bytes()
	complete = len(text) == 0 || text[len(text)-1] == '\n'
	if f.read == nil {
		f.read = map[string]*read{}
	}
	if f.read[file] == nil {
		f.read[file] = &read{}
	}
	return f.read[file].is(file, text), complete, nil
}

// is takes apart what a file has become.
func (r *read) is(file string, text []byte) []*part {
	more, grown := bytes.CutPrefix(text, r.text)
	if !grown || len(r.parts) == 0 || len(more) > 0 && (len(r.parts) >= mostParts || !bytes.HasSuffix(r.text, []byte("\n"))) {
		r.text, r.parts, more = nil, nil, text
	}
	if len(more) > 0 {
		before := 0
		if n := len(r.parts); n > 0 {
			before = r.parts[n-1].end
		}
		// What was handed out stays as it is; nor does a line keep the text of all.
		r.parts = append(r.parts[:len(r.parts):len(r.parts)], newPart(file, string(more), before))
		r.text = append(r.text, more...)
	}
	return r.parts
}
