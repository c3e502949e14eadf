package sshauth

import (
	"context"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Signers that wait for somebody: they sign during the handshake, whose deadlines are
// put off meanwhile.

// lateSigner is one whose key is had only when a host wants it.
type lateSigner struct {
	public ssh.PublicKey
	have   func() (ssh.Signer, error)
}

func (s lateSigner) PublicKey() ssh.PublicKey { return s.public }

func (s lateSigner) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return s.SignWithAlgorithm(rand, data, "")
}

func (s lateSigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	signer, err := s.have()
	if err != nil {
		return nil, err
	}
	return signWith(signer, rand, data, algorithm)
}

func signWith(signer ssh.Signer, rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	if with, ok := signer.(ssh.AlgorithmSigner); ok && algorithm != "" {
		return with.SignWithAlgorithm(rand, data, algorithm)
	}
	return signer.Sign(rand, data)
}

// agentSigner is a key of an agent, which may ask somebody. A security key waits until it is
// touched, and who touches must know for which host: one signs at a time.
type agentSigner struct {
	ssh.Signer
	l *Login
}

func (s agentSigner) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return s.SignWithAlgorithm(rand, data, "")
}

func (s agentSigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	what := "the agent at " + s.l.socket + " to sign"
	if touched(s.PublicKey()) {
		done, err := s.l.touch()
		if err != nil {
			return nil, err
		}
		defer done()
		what = "a touch of the security key"
	}
	defer s.l.Waits(what)()
	return signWith(s.Signer, rand, data, algorithm)
}

// touched reports whether a key is one of a security key (FIDO).
func touched(key ssh.PublicKey) bool { return strings.HasPrefix(key.Type(), "sk-") }

// touch waits for the turn to have a security key sign, and tells people.
func (l *Login) touch() (done func(), err error) {
	if l.Credentials == nil {
		return func() {}, nil
	}
	resume := l.pause("the security key, which is to be touched for another host first")
	select {
	case l.Credentials.touch <- struct{}{}:
		resume()
		l.Say("touch the security key: it is to sign for " + l.Account)
		return func() { <-l.Credentials.touch }, nil
	case <-l.ctx.Done():
		resume()
		return nil, context.Cause(l.ctx)
	}
}

// unlocked has a signer for an encrypted key file, which asks once a host wants it.
func (l *Login) unlocked(path string) (ssh.Signer, error) {
	defer l.pause("the passphrase of " + path)()
	signer, err := l.Credentials.unlock(l.ctx, path, l.Node)
	if err != nil {
		l.stays(path, err)
	}
	return signer, err
}
