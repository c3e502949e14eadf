package crash

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func failing(value any) (err error) {
	defer Recover(&err)
	if value != nil {
		panic(value)
	}
	return io.EOF
}

func TestAPanicIsAnErrorThatShowsNoValue(t *testing.T) {
	if err := failing(nil); err != io.EOF {
		t.Errorf("without a panic: %v", err)
	}
	for _, value := range []any{"hunter2", errors.New("hunter2"), struct{ s string }{"hunter2"}} {
		var caught *Error
		err := failing(value)
		if !errors.As(err, &caught) || strings.Contains(err.Error()+string(caught.Stack), "hunter2") {
			t.Errorf("%T: %v", value, err)
		}
		if !strings.Contains(string(caught.Stack), "crash_test.go") {
			t.Errorf("the stack does not say where: %s", caught.Stack)
		}
	}
}

func TestWhatGoItselfSaysOfAPanicIsShown(t *testing.T) {
	defer func() {
		if text := New(recover()).Error(); !strings.Contains(text, "index out of range [3]") {
			t.Errorf("%s", text)
		}
	}()
	var none []int
	_ = none[len("abc")]
}

type broken struct{}

func (broken) Write([]byte) (int, error) { panic("no") }

func TestAWriteThatPanicsFails(t *testing.T) {
	var caught *Error
	if _, err := Writer(broken{}).Write(nil); !errors.As(err, &caught) {
		t.Errorf("got %v", err)
	}
}
