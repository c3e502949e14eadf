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

// What is said to it (Nix, serve-protocol.hh). This version of the protocol, of Nix 2.2
// and all later ones, has all that is needed here.
const (
	serveHello      = 0x390c9deb
	serveAnswer     = 0x5452eecb
	serveVersion    = 0x205
	serveValidPaths = 1
	servePathInfos  = 2
	serveDump       = 3
	serveClosure    = 7
	serveAdd        = 9
	longestPath     = 4096 // and of other texts
	mostReferences  = 1 << 20
	mostSignatures  = 1 << 10
)

// pathInfo is what a store knows of a valid path.
type pathInfo struct {
	references []string // itself, maybe, among them
	size       int64    // of its archive, in bytes
	pathOrigin
}

// pathOrigin is what a path is known by in every store.
type pathOrigin struct {
	deriver    string // what it was built by; "" if that is not known
	hash       string // of its archive
	address    string // what its name follows from; "" if not from its content
	signatures []string
}

// invalid asks which of the paths are not valid; those asked about are no garbage
// as long as this Nix lives.
func (s *serving) invalid(paths []string) (map[string]bool, error) {
	w := s.question()
	writeValid(w, paths, asTheyAre)
	if err := s.send(w); err != nil {
		return nil, err
	}
	return s.readInvalid(paths)
}

// What is done about paths that are not valid before it is told which those are.
const (
	asTheyAre uint64 = 0
	fetched   uint64 = 1 // from substituters
)

func writeValid(w *bufio.Writer, paths []string, missing uint64) {
	writeNumbers(w, serveValidPaths, 1, missing) // 1: they shall be no garbage from now on
	writeTexts(w, paths)
}

func (s *serving) readInvalid(paths []string) (map[string]bool, error) {
	invalid := make(map[string]bool, len(paths))
	for _, path := range paths {
		invalid[path] = true
	}
	valid, err := s.texts(uint64(len(paths)))
	for _, path := range valid {
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
	return s.texts(mostReferences)
}

func (s *serving) info() (info pathInfo, err error) {
	if info.deriver, err = s.text(); err != nil {
		return info, err
	}
	if info.references, err = s.texts(mostReferences); err != nil {
		return info, err
	}
	if _, err = s.number(math.MaxInt64); err != nil { // what a download would be
		return info, err
	}
	size, err := s.number(math.MaxInt64)
	if err != nil {
		return info, err
	}
	info.size = int64(size)
	if info.hash, err = s.text(); err != nil {
		return info, err
	}
	if info.address, err = s.text(); err != nil {
		return info, err
	}
	info.signatures, err = s.texts(mostSignatures)
	return info, err
}

// dump passes on the archive of a path of that size.
func (s *serving) dump(to io.Writer, path string, size int64) error {
	w := s.question()
	writeNumbers(w, serveDump)
	writeText(w, path)
	if err := s.send(w); err != nil {
		return err
	}
	return copyArchive(to, s.out, size)
}

// writeAdd announces a path to be added; its archive follows.
func writeAdd(w *bufio.Writer, path string, info pathInfo) {
	writeNumbers(w, serveAdd)
	for _, text := range []string{path, info.deriver, info.hash} {
		writeText(w, text)
	}
	writeTexts(w, info.references)
	// When it was registered and whether it was built there is for each store to say.
	writeNumbers(w, 0, uint64(info.size), 0)
	writeTexts(w, info.signatures)
	writeText(w, info.address)
}

// question begins one, with a greeting if it is the first.
func (s *serving) question() *bufio.Writer {
	w := bufio.NewWriter(s.in)
	if !s.greeted {
		writeNumbers(w, serveHello, serveVersion)
	}
	return w
}

// greet greets if nothing was asked yet.
func (s *serving) greet() error {
	if s.greeted {
		return nil
	}
	return s.send(s.question())
}

// send sends a question, and reads the answer to the greeting.
func (s *serving) send(w *bufio.Writer) error {
	if err := w.Flush(); err != nil {
		return err
	}
	return s.hear()
}

// hear reads the answer to the greeting, if that was not read.
func (s *serving) hear() error {
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
		writeText(w, text)
	}
}

func writeText(w *bufio.Writer, text string) {
	writeNumbers(w, uint64(len(text)))
	w.WriteString(text)
	w.Write(make([]byte, padding(len(text))))
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

func (s *serving) texts(most uint64) (texts []string, err error) {
	count, err := s.number(most)
	for ; count > 0 && err == nil; count-- {
		var text string
		text, err = s.text()
		texts = append(texts, text)
	}
	return texts, err
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
