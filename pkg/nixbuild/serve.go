package nixbuild

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// serving speaks the protocol of ssh:// stores with a `nix-store --serve`, here or
// on a host. What comes from there is bounded.
type serving struct {
	in  io.Writer
	out *bufio.Reader

	greeted bool
}

// What is said to it (Nix, serve-protocol.hh). The first version of the protocol
// has all that is needed here.
const (
	serveHello      = 0x390c9deb
	serveAnswer     = 0x5452eecb
	serveVersion    = 0x200
	serveValidPaths = 1
	servePathInfos  = 2
	serveClosure    = 7
	longestPath     = 4096
	mostReferences  = 1 << 20
)

// pathInfo is what a store knows of a valid path.
type pathInfo struct {
	references []string // itself, maybe, among them
	size       int64    // of its archive, in bytes
}

// invalid asks which of the paths are not valid; those asked about are no garbage
// as long as this Nix lives.
func (s *serving) invalid(paths []string) (map[string]bool, error) {
	w := s.question()
	// 1: they shall be no garbage from now on; 0: without fetching what is not there.
	writeNumbers(w, serveValidPaths, 1, 0)
	writeTexts(w, paths)
	if err := s.send(w); err != nil {
		return nil, err
	}
	invalid := make(map[string]bool, len(paths))
	for _, path := range paths {
		invalid[path] = true
	}
	count, err := s.number(uint64(len(paths)))
	for ; count > 0 && err == nil; count-- {
		var path string
		path, err = s.text()
		delete(invalid, path)
	}
	return invalid, err
}

// infos asks about paths, and leaves out those that are not valid.
func (s *serving) infos(paths []string) (map[string]pathInfo, error) {
	w := s.question()
	writeNumbers(w, servePathInfos)
	writeTexts(w, paths)
	if err := s.send(w); err != nil {
		return nil, err
	}
	infos := make(map[string]pathInfo, len(paths))
	for range len(paths) + 1 {
		path, err := s.text()
		if err != nil || path == "" {
			return infos, err
		}
		info, err := s.info()
		if err != nil {
			return infos, err
		}
		infos[path] = info
	}
	return infos, errors.New("nix-store --serve tells of more paths than it was asked about")
}

// closure asks what valid paths need, themselves among it.
func (s *serving) closure(paths []string) ([]string, error) {
	w := s.question()
	writeNumbers(w, serveClosure, 0) // 0: without what made them
	writeTexts(w, paths)
	if err := s.send(w); err != nil {
		return nil, err
	}
	var closure []string
	count, err := s.number(mostReferences)
	for ; count > 0 && err == nil; count-- {
		var path string
		path, err = s.text()
		closure = append(closure, path)
	}
	return closure, err
}

func (s *serving) info() (info pathInfo, err error) {
	if _, err = s.text(); err != nil { // what it was built by
		return info, err
	}
	count, err := s.number(mostReferences)
	for ; count > 0 && err == nil; count-- {
		var path string
		path, err = s.text()
		info.references = append(info.references, path)
	}
	if err != nil {
		return info, err
	}
	if _, err = s.number(math.MaxInt64); err != nil { // what a download would be
		return info, err
	}
	size, err := s.number(math.MaxInt64)
	info.size = int64(size)
	return info, err
}

// question begins one, with a greeting if it is the first.
func (s *serving) question() *bufio.Writer {
	w := bufio.NewWriter(s.in)
	if !s.greeted {
		writeNumbers(w, serveHello, serveVersion)
	}
	return w
}

// send sends a question, and reads the answer to the greeting.
func (s *serving) send(w *bufio.Writer) error {
	if err := w.Flush(); err != nil {
		return err
	}
	if s.greeted {
		return nil
	}
	if magic, err := s.number(1 << 32); err != nil || magic != serveAnswer {
		return errors.Join(errors.New("nix-store --serve does not answer as it should"), err)
	}
	_, err := s.number(1 << 32) // its version
	s.greeted = err == nil
	return err
}

// Numbers are 64 bits wide, texts are padded to as many.

func writeNumbers(w *bufio.Writer, numbers ...uint64) {
	for _, n := range numbers {
		w.Write(binary.LittleEndian.AppendUint64(nil, n))
	}
}

func writeTexts(w *bufio.Writer, texts []string) {
	writeNumbers(w, uint64(len(texts)))
	for _, text := range texts {
		writeNumbers(w, uint64(len(text)))
		w.WriteString(text)
		w.Write(make([]byte, padding(len(text))))
	}
}

func padding(length int) int { return -length & 7 }

func (s *serving) number(most uint64) (uint64, error) {
	var bytes [8]byte
	if _, err := io.ReadFull(s.out, bytes[:]); err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint64(bytes[:])
	if n > most {
		return 0, fmt.Errorf("nix-store --serve says %d, where at most %d makes sense", n, most)
	}
	return n, nil
}

func (s *serving) text() (string, error) {
	length, err := s.number(longestPath)
	if err != nil {
		return "", err
	}
	bytes := make([]byte, int(length)+padding(int(length)))
	_, err = io.ReadFull(s.out, bytes)
	return string(bytes[:length]), err
}
