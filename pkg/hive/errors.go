package hive

import (
	"fmt"
	"strings"
)

// ListErrors is how the multierrors of this program read: one error alone as it
// is, several on a line each. It is a multierror.ErrorFormatFunc.
func ListErrors(errs []error) string {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	if len(texts) == 1 {
		return texts[0]
	}
	return fmt.Sprintf("%d problems:\n- %s", len(texts), strings.Join(texts, "\n- "))
}

// FirstFew lists names, of many only the first few and how many more there are.
func FirstFew(names []string) string {
	const most = 3
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// WithoutName replaces a name by a mark where it is not part of a longer word.
func WithoutName(text, name, mark string) string {
	inWord := func(c byte) bool {
		return c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
	}
	var b strings.Builder
	for at := 0; ; {
		i := strings.Index(text[at:], name)
		if i < 0 {
			return b.String() + text[at:]
		}
		i += at
		end := i + len(name)
		b.WriteString(text[at:i])
		if i > 0 && inWord(text[i-1]) || end < len(text) && inWord(text[end]) {
			b.WriteString(name)
		} else {
			b.WriteString(mark)
		}
		at = end
	}
}
