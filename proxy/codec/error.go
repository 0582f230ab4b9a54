package codec

import (
	"errors"
	"fmt"
	"io"
)

// Fault says in which way a body could not be decoded.
type Fault uint8

const (
	Unsupported Fault = iota + 1 // no decoder for this coding, or too many stacked
	Truncated                    // the input ended inside the coded body
	Corrupt                      // bytes that the coding does not allow
	Trailing                     // bytes behind the end of the coded body
	TooLarge                     // more output than the limit allows
	Lost                         // depends on an earlier message that was not decoded
)

var faultText = [...]string{
	Unsupported: "unsupported", Truncated: "truncated", Corrupt: "corrupt",
	Trailing: "trailing bytes", TooLarge: "output over the limit", Lost: "context lost",
}

func (f Fault) String() string {
	if int(f) < len(faultText) && f > 0 {
		return faultText[f]
	}
	return fmt.Sprintf("Fault(%d)", uint8(f))
}

// DecodeError says why and where decoding stopped.
type DecodeError struct {
	Coding string // as the header named it
	Fault  Fault
	Wire   int64 // wire bytes used up to then, up to the coding's read-ahead
	Plain  int64 // plain bytes handed out before
	Err    error // what the decoder found, may be nil
}

func (e *DecodeError) Error() string {
	s := fmt.Sprintf("decode %q: %v after %d wire and %d plain bytes", e.Coding, e.Fault, e.Wire, e.Plain)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *DecodeError) Unwrap() error { return e.Err }

// errTrailing is what a chain of readers ends in when bytes follow the end.
var errTrailing = errors.New("bytes behind the end")

// faultOf sorts the error of a chain of readers.
func faultOf(err error) Fault {
	switch {
	case errors.Is(err, errTrailing):
		return Trailing
	case errors.Is(err, io.ErrUnexpectedEOF):
		return Truncated
	}
	return Corrupt
}
