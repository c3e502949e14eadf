package nix

import "testing"

func TestAddressesAreShownWithoutWhoAsks(t *testing.T) {
	for text, want := range map[string]string{
		"https://u:s3cret@host/x":                                            "https://[not shown]@host/x",
		"https://s3cret@host/x and ftp://a:s3cret@b":                         "https://[not shown]@host/x and ftp://[not shown]@b",
		"https://u:s3c@ret@host/x":                                           "https://[not shown]@host/x",
		"https://u:s3c/ret@host/x":                                           "https://[not shown]@host/x",
		"https://u:s3c?r'et@host/x":                                          "https://[not shown]@host/x",
		"a 'https://u:s3 cret@host/x'":                                       "a 'https://[not shown]@host/x'",
		"https//u:s3cret@host, https:/u:s3cret@host":                         "https//[not shown]@host, https:/[not shown]@host",
		"https://a https://u:s3cret@host":                                    "https://a https://[not shown]@host",
		"https://a,https://u:s3cret@host":                                    "https://a,https://[not shown]@host",
		"git+ssh://git@host/x?ref=main":                                      "git+ssh://git@host/x?ref=main",
		"ssh://root:s3cret@host":                                             "ssh://[not shown]@host",
		"git+https://oauth2:s3cret@host/x?dir=a&ref=b":                       "git+https://[not shown]@host/x?dir=a&ref=b",
		"https://u:s3cret@h/x?ref=a&token=s3cret":                            "https://[not shown]@h/x?ref=a&token=[not shown]",
		"'http://h/x?private_token=s3cret': no":                              "'http://h/x?private_token=[not shown]': no",
		"'http://h/x?s3cret'; retrying in 2 ms":                              "'http://h/x?[not shown]'; retrying in 2 ms",
		"'http://h/x?a=s3 cret': no":                                         "'http://h/x?a=[not shown]': no",
		"http://h/x?a=s3'cret&b=s3cret#c":                                    "http://h/x?a=[not shown]&b=[not shown]",
		"github:o/r?token=s3cret":                                            "github:o/r?token=[not shown]",
		"https://host:8080/x@y https://[::1]:80/@ path:/x#y nix: is it? yes": "https://host:8080/x@y https://[::1]:80/@ path:/x#y nix: is it? yes",
	} {
		if got := WithoutLogins(text); got != want {
			t.Errorf("%s is shown as\n%s, want\n%s", text, got, want)
		}
	}
}
