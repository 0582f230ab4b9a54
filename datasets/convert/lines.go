package convert

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

// line is one line of a source that is not blank.
type line struct {
	number int // from 1
	text   []byte
}

// linesOf reads a file line by line. The text is valid until the next line.
func linesOf(path string) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(line{}, fmt.Errorf("read source: %w", err))
			return
		}
		defer f.Close()
		r := bufio.NewReaderSize(f, 1<<16)
		for number := 1; ; number++ {
			text, err := r.ReadBytes('\n')
			if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && !yield(line{number, trimmed}, nil) {
				return
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(line{}, fmt.Errorf("read source: %w", err))
				return
			}
		}
	}
}

// plainNumbers replaces NaN, Infinity and -Infinity outside of strings, which
// Python writes and JSON does not know, by null. It reports whether there were
// any.
func plainNumbers(b []byte) (out []byte, found bool) {
	from, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == 'N' || c == 'I' || c == '-'):
			for _, name := range []string{"NaN", "-Infinity", "Infinity"} {
				if bytes.HasPrefix(b[i:], []byte(name)) {
					out = append(append(out, b[from:i]...), "null"...)
					i += len(name) - 1
					from = i + 1
					break
				}
			}
		}
	}
	return append(out, b[from:]...), from > 0
}

// decode is json.Unmarshal with an error that says where the text breaks.
func decode(b []byte, v any) error {
	err := json.Unmarshal(b, v)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return &jsonError{syntax.Offset, fmt.Errorf("no JSON: %w", err)}
	case errors.As(err, &kind):
		return &jsonError{kind.Offset, fmt.Errorf("%s holds a %s, want %s", kind.Field, kind.Value, kind.Type)}
	}
	return err
}

// jsonError is an error at a byte of a text.
type jsonError struct {
	offset int64
	err    error
}

func (e *jsonError) Error() string { return fmt.Sprintf("%v (at its byte %d)", e.err, e.offset) }
func (e *jsonError) Unwrap() error { return e.err }
