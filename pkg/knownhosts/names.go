package knownhosts

import (
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

func port(n int) string {
	if n == 0 {
		n = 22
	}
	return strconv.Itoa(n)
}

// withoutCertificate is the type of key that an algorithm signs with, and whether
// a certificate comes with it.
func withoutCertificate(algorithm string) (keyType string, certified bool) {
	base, certified := strings.CutSuffix(algorithm, "-cert-v01@openssh.com")
	if certified && strings.HasPrefix(base, "sk-") {
		base += "@openssh.com"
	}
	if base == ssh.KeyAlgoRSASHA256 || base == ssh.KeyAlgoRSASHA512 {
		base = ssh.KeyAlgoRSA
	}
	return base, certified
}
