package schema

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Types of Thrift's compact protocol, as they stand in field and list headers.
const (
	thriftStop   = 0
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftStruct = 12
)

// maxNesting is deeper than any structure of Parquet's.
const maxNesting = 16

// skim steps over the struct in Thrift's compact protocol with which b begins,
// and returns its length. It proves that no list and no string in it claims
// more than there are bytes: decoders allocate by those claims first. Its error
// is io.ErrUnexpectedEOF where b ends too soon.
//
// The protocol: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
func skim(b []byte) (int, error) {
	s := skimmer{rest: b}
	if err := s.fields(0); err != nil {
		return 0, err
	}
	return len(b) - len(s.rest), nil
}

type skimmer struct{ rest []byte }

func (s *skimmer) fields(depth int) error {
	for {
		head, err := s.byte()
		if err != nil {
			return err
		}
		if head == thriftStop {
			return nil
		}
		if head>>4 == 0 { // the field's number follows
			if _, err := s.uvarint(); err != nil {
				return err
			}
		}
		kind := head & 0xf
		if kind == thriftTrue || kind == thriftFalse {
			continue // the value is in the type
		}
		if err := s.value(kind, depth); err != nil {
			return err
		}
	}
}

func (s *skimmer) value(kind byte, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("values nest deeper than %d", maxNesting)
	}
	switch kind {
	case thriftTrue, thriftFalse, thriftByte:
		return s.skip(1)
	case thriftI16, thriftI32, thriftI64:
		_, err := s.uvarint()
		return err
	case thriftDouble:
		return s.skip(8)
	case thriftBinary:
		n, err := s.uvarint()
		if err != nil {
			return err
		}
		return s.skip(n)
	case thriftList:
		return s.list(depth)
	case thriftStruct:
		return s.fields(depth + 1)
	}
	return fmt.Errorf("a value of unknown type %d", kind)
}

func (s *skimmer) list(depth int) error {
	head, err := s.byte()
	if err != nil {
		return err
	}
	n := uint64(head >> 4)
	if n == 0xf {
		if n, err = s.uvarint(); err != nil {
			return err
		}
	}
	if n > uint64(len(s.rest)) { // an element takes at least a byte
		return io.ErrUnexpectedEOF
	}
	for range n {
		if err := s.value(head&0xf, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (s *skimmer) byte() (byte, error) {
	if len(s.rest) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	return b, nil
}

func (s *skimmer) uvarint() (uint64, error) {
	v, n := binary.Uvarint(s.rest)
	if n == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	if n < 0 {
		return 0, errors.New("a number of more than 64 bits")
	}
	s.rest = s.rest[n:]
	return v, nil
}

func (s *skimmer) skip(n uint64) error {
	if n > uint64(len(s.rest)) {
		return io.ErrUnexpectedEOF
	}
	s.rest = s.rest[n:]
	return nil
}
