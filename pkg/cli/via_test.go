package cli

import "testing"

// What is for who writes, or is a file of this machine, is no host's business.
func TestTheAddressOfACacheAsHostsKnowIt(t *testing.T) {
	for to, want := range map[string]string{
		"s3://bucket": "s3://bucket",
		"s3://bucket?region=x&secret-key=/root/key&compression=zstd": "s3://bucket?region=x",
		"http://cache?secret-key=/root/key":                          "http://cache",
		"ssh-ng://root@host?ssh-key=/root/id&trusted=true":           "ssh-ng://root@host?trusted=true",
		"file:///srv/cache?compression=none&priority=10":             "file:///srv/cache?priority=10",
	} {
		if got := asHostsKnow(to); got != want {
			t.Errorf("%s is %s, want %s", to, got, want)
		}
	}
}
