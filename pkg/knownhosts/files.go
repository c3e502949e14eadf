package knownhosts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
)

// Files reads files that are asked about again and again, and takes only that apart of
// them which has not been there before. The zero value is ready for use, by many
// goroutines.
type Files struct {
	mu   sync.Mutex
	read map[string]read // by file
}

// read is what a file was when it was read last.
type read struct {
	text  string
	parts []*part
}

// mostParts is how many parts a file may have that grows line by line.
const mostParts = 32

// Read reads files; those that do not exist are empty.
func (f *Files) Read(files ...string) (k Known, err error) {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Known{}, fmt.Errorf("known_hosts: %w", err)
		}
		k.parts = append(k.parts, f.parts(file, string(text))...)
	}
	return k, nil
}

// Read is [Files.Read] of files that are asked about once.
func Read(files ...string) (Known, error) { return new(Files).Read(files...) }

// parts are those of a file that has that text.
func (f *Files) parts(file, text string) []*part {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.read == nil {
		f.read = map[string]read{}
	}
	last := f.read[file]
	more, grown := strings.CutPrefix(text, last.text)
	if !grown || len(last.parts) == 0 || len(last.parts) >= mostParts || !strings.HasSuffix(last.text, "\n") {
		last.parts, more = nil, text
	}
	if more != "" {
		before := 0
		if n := len(last.parts); n > 0 {
			before = last.parts[n-1].end
		}
		// What was handed out stays as it is; nor does a line keep the text of all.
		last.parts = append(last.parts[:len(last.parts):len(last.parts)], newPart(file, strings.Clone(more), before))
	}
	f.read[file] = read{text, last.parts}
	return last.parts
}
