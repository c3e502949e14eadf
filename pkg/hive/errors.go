package hive

import "strings"

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
	return "\n- " + strings.Join(texts, "\n- ")
}
