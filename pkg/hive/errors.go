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
