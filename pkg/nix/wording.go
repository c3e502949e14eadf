package nix

import "regexp"

// wordings are what newer versions of Nix say, and how 2.8 says it: what withholds
// secrets, explains failures and gives hints has to know one of them only.
var wordings = []struct {
	newer *regexp.Regexp
	old   string
}{
	// Since 2.30, with lists of outputs and of the builder's lines.
	{regexp.MustCompile(`(?s)^Cannot build '([^'\n]+)'\.\n *Reason: builder ([^\n]+?)\.?(?:\n.*)?$`), "builder for '$1' $2"},
	{regexp.MustCompile(`(?s)^Cannot build '([^'\n]+)'\.\n *Reason: (\d+) (dependency|dependencies) failed\b.*$`), "$2 $3 of derivation '$1' failed to build"},
	{regexp.MustCompile(`(?s)^(Cannot build '.*?)\n *Output paths:\n.*$`), "$1"},
	// Since 2.29, with what to run, in several lines.
	{regexp.MustCompile(`(?s)^Path '([^'\n]+)' in the repository ['"]([^'"\n]+)['"] is not tracked by Git\..*$`), "path '$2/$1' is not tracked by Git"},
	{regexp.MustCompile(`^Path '([^'\n]+)' does not exist in Git repository ['"]([^'"\n]+)['"]\.$`), "path '$2/$1' does not exist"},
	// Since 2.20, without quotes or with others.
	{regexp.MustCompile(`^(?:reading|cannot read) directory "?(/.*?)"?(: [A-Z][a-z ]+)$`), "opening directory '$1'$2"},
}

// InOldWords is a message, without colours, as Nix 2.8 would say it.
func InOldWords(message string) string {
	for _, w := range wordings {
		if w.newer.MatchString(message) {
			return w.newer.ReplaceAllString(message, w.old)
		}
	}
	return message
}
