package proxy

import (
	"crypto/tls"
	"net"
)

// recordHead is the length of a TLS record's header.
const recordHead = 5

// recordConn hands TLS one record at a time. TLS then has nothing left over when
// it has given out a record, so a pump can wait for the socket instead of inside
// TLS, and needs no buffer while it waits.
type recordConn struct {
	net.Conn
	src  source
	rest []byte // read, not handed out; part of src's buffer
	head [recordHead]byte
	have int // of head
	left int // of the record, its head included where that came in one piece
}

// newRecordConn hands out what was read from the connection already, and then
// what comes.
func newRecordConn(e *end, read []byte) *recordConn {
	return &recordConn{Conn: e.Conn, src: e.src, rest: read}
}

// Read hands out no more than what is left of one record.
func (r *recordConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.fill(); err != nil {
		return 0, err
	}
	if r.left == 0 && r.have == 0 && len(r.rest) >= recordHead {
		r.left = recordHead + recordLength(r.rest)
	}
	n := min(len(p), len(r.rest))
	if r.left > 0 {
		n = min(n, r.left)
		r.left -= n
	} else { // the head itself comes in pieces
		n = min(n, recordHead-r.have)
		copy(r.head[r.have:], r.rest[:n])
		if r.have += n; r.have == recordHead {
			r.have, r.left = 0, recordLength(r.head[:])
		}
	}
	copy(p, r.rest[:n])
	if r.rest = r.rest[n:]; len(r.rest) == 0 {
		r.src.give()
	}
	return n, nil
}

// recordLength is what the head of a record says of the bytes behind it.
func recordLength(head []byte) int { return int(head[3])<<8 | int(head[4]) }

// fill waits for bytes, if there are none.
func (r *recordConn) fill() (err error) {
	if len(r.rest) == 0 {
		r.rest, err = r.src.read(maxMove)
	}
	return err
}

// maxRecord is the longest text of a TLS record.
const maxRecord = 16 << 10

// tlsSource reads the text of a TLS connection.
type tlsSource struct {
	conn   *tls.Conn
	record *recordConn
	more   bool // a read was too short for its record: TLS holds the rest
	buffers
}

// read waits without a buffer for what begins a record. A record in pieces, or
// one without text, makes it wait with one.
func (s *tlsSource) read(most int) ([]byte, error) {
	if !s.more {
		if err := s.record.fill(); err != nil {
			return nil, s.last(err)
		}
	}
	s.class = recordClass
	b := s.take(min(most, maxRecord))
	n, err := s.conn.Read(b)
	if n == 0 {
		s.give()
		return nil, err
	}
	s.more = n == len(b) && n < maxRecord
	return b[:n], nil
}

// last lets TLS say how the connection ended.
func (s *tlsSource) last(err error) error {
	var none [1]byte
	if _, tlsErr := s.conn.Read(none[:]); tlsErr != nil {
		return tlsErr
	}
	return err
}

// rest waits until the connection under TLS has ended too.
func (s *tlsSource) rest() error {
	for {
		if err := s.record.fill(); err != nil {
			return err
		}
		s.record.rest = nil
		s.record.src.give()
	}
}

// tlsEnd is TLS over a connection that newRecordConn made of an end.
func tlsEnd(c *tls.Conn, record *recordConn, under *end) *end {
	return &end{Conn: c, tcp: under.tcp, src: &tlsSource{conn: c, record: record}}
}
