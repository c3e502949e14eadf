package nixeval

import (
	"io"
	"os"
)

// surroundings are those of an evaluation of the source on this machine.
func (s Source) surroundings() surroundings {
	return surroundings{hive: s.path(), read: readSource, exists: exists}
}

// largestSource is how much of a file is read to explain an error.
const largestSource = 1 << 20

// readSource returns the text of a file of Nix, "" if that cannot be had.
func readSource(file string) string {
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		file += "/default.nix"
	}
	if !isFile(file) {
		return ""
	}
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, largestSource))
	if err != nil {
		return ""
	}
	return string(text)
}
