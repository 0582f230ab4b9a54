package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
)

// decode reads the one YAML document of text into p. Its errors are one line.
func decode(text []byte, p *Params) (err error) {
	defer func() { // the text may be anything, and the reader is not ours
		if r := recover(); r != nil {
			err = fmt.Errorf("read YAML: %s", firstLine(fmt.Sprint(r)))
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict())
	if err := d.Decode(p); err != nil && !errors.Is(err, io.EOF) {
		return explain(err, text)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return errors.New("more than one YAML document")
	}
	return nil
}

// explain says in one line where the text is wrong, what stands there, and what
// is wrong with it. The reader's own message draws the text, and names types of
// Go.
func explain(err error, text []byte) error {
	var y yaml.Error
	if !errors.As(err, &y) || y.GetToken() == nil || y.GetToken().Position == nil {
		return errors.New(firstLine(err.Error()))
	}
	what := firstLine(y.GetMessage())
	var kind *yaml.TypeError
	var large *yaml.OverflowError
	switch {
	case errors.As(err, &kind):
		what = "want " + wanted(kind.DstType)
	case errors.As(err, &large):
		what = "the number is too large"
	}
	line := y.GetToken().Position.Line
	return fmt.Errorf("line %d: %.60q: %s", line, lineOf(text, line), what)
}

// wanted names what a field of a type holds.
func wanted(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Struct:
		return "a mapping"
	case reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// lineOf is the nth line of a text, from 1, without what surrounds its words.
func lineOf(text []byte, n int) string {
	lines := bytes.SplitN(text, []byte("\n"), n+1)
	if n < 1 || n > len(lines) {
		return ""
	}
	return string(bytes.TrimSpace(lines[n-1]))
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}
