// Package crash turns a panic into an error, so that a bug that one host or one
// key brings to light fails that one alone.
package crash

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// Error is a panic that was caught. Its text holds no value of the program's,
// which might be secret; nor does its stack, which has addresses only.
type Error struct {
	What  string // what Go says of its own panics, or the type of another value
	Stack []byte
}

func (e *Error) Error() string {
	return fmt.Sprintf("this is a bug of colmena-go (%s): please run it again with --verbose and report what is shown then at https://github.com/colmena-go/colmena-go/issues", e.What)
}

// Recover is to be deferred; it makes a panic the function's error.
func Recover(err *error) {
	if value := recover(); value != nil {
		*err = New(value)
	}
}

// New describes a recovered value; to be called while the panic's stack is there.
func New(value any) *Error {
	what := fmt.Sprintf("%T", value)
	var own runtime.Error
	if failure, ok := value.(error); ok && errors.As(failure, &own) {
		what = own.Error()
	}
	return &Error{What: what, Stack: debug.Stack()}
}

// Writer passes writes on to w; a panic in one is that Write's error.
func Writer(w io.Writer) io.Writer { return writer{w} }

type writer struct{ io.Writer }

func (w writer) Write(p []byte) (n int, err error) {
	defer Recover(&err)
	return w.Writer.Write(p)
}
