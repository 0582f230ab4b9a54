package journal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// ErrSealed says that a segment is encrypted and that none of the identities
// given opens it.
var ErrSealed = errors.New("the segment is encrypted for other identities")

// errAltered says that a frame's checksum holds and its seal does not.
var errAltered = errors.New("the frame does not open: it was altered or moved")

const keyBytes = 32

// sealer encrypts or decrypts the frames of one file. The nonce of a frame is
// its number in the file, so frames cannot change places; its length and type
// are authenticated with it. A key is used for one file only.
type sealer struct {
	aead cipher.AEAD
	n    uint64
}

func newSealer(key []byte) (*sealer, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(b)
	if err != nil {
		return nil, err
	}
	return &sealer{aead: aead}, nil
}

// step returns the nonce and the additional data of the frame at hand.
func (s *sealer) step(frame []byte) (nonce [12]byte, extra [5]byte) {
	binary.BigEndian.PutUint64(nonce[4:], s.n)
	s.n++
	copy(extra[:], frame[:4])
	extra[4] = frame[8]
	return nonce, extra
}

// seal encrypts the payload of the frame that begins at start, in place.
func (s *sealer) seal(dst []byte, start int, sealed bool) []byte {
	nonce, extra := s.step(dst[start:])
	if !sealed {
		return dst
	}
	body := dst[start+frameHead:]
	return s.aead.Seal(dst[:start+frameHead], nonce[:], body, extra[:])
}

// open decrypts the payload of a whole frame in place.
func (s *sealer) open(frame []byte, sealed bool) ([]byte, error) {
	nonce, extra := s.step(frame)
	body := frame[frameHead:]
	if !sealed {
		return body, nil
	}
	plain, err := s.aead.Open(body[:0], nonce[:], body, extra[:])
	if err != nil {
		return nil, errAltered
	}
	return plain, nil
}

// keyring holds who may read what is written, and who reads.
type keyring struct {
	recipients []age.Recipient
	identities []age.Identity
}

func parseKeyring(recipients, identities []string) (keyring, error) {
	var k keyring
	for i, s := range recipients {
		r, err := age.ParseRecipients(bytes.NewReader([]byte(s)))
		if err != nil {
			return k, fmt.Errorf("recipient %d: %w", i+1, err)
		}
		k.recipients = append(k.recipients, r...)
	}
	for i, s := range identities {
		id, err := age.ParseIdentities(bytes.NewReader([]byte(s)))
		if err != nil {
			// The cause may quote the secret.
			return k, fmt.Errorf("identity %d is none that age could read", i+1)
		}
		k.identities = append(k.identities, id...)
	}
	return k, nil
}

// wrap makes a key for one file. Without recipients there is none.
func (k keyring) wrap() (s *sealer, wrapped, key []byte, err error) {
	if len(k.recipients) == 0 {
		return nil, nil, nil, nil
	}
	key = make([]byte, keyBytes)
	rand.Read(key)
	var b bytes.Buffer
	w, err := age.Encrypt(&b, k.recipients...)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("wrap segment key: %w", err)
	}
	if _, err := w.Write(key); err != nil {
		return nil, nil, nil, fmt.Errorf("wrap segment key: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, nil, nil, fmt.Errorf("wrap segment key: %w", err)
	}
	if b.Len() > maxWrapped {
		return nil, nil, nil, fmt.Errorf("wrap segment key: %d bytes for %d recipients, at most %d fit: name fewer", b.Len(), len(k.recipients), maxWrapped)
	}
	s, err = newSealer(key)
	return s, b.Bytes(), key, err
}

// unwrap returns the sealer that opens a file with the header h.
func (k keyring) unwrap(h header) (*sealer, error) {
	if h.flags&flagSealed == 0 {
		return nil, nil
	}
	if len(k.identities) == 0 {
		return nil, ErrSealed
	}
	r, err := age.Decrypt(bytes.NewReader(h.wrapped), k.identities...)
	if err != nil {
		return nil, ErrSealed
	}
	key, err := io.ReadAll(io.LimitReader(r, keyBytes+1))
	if err != nil || len(key) != keyBytes {
		return nil, frameErr("the wrapped key is damaged")
	}
	return newSealer(key)
}

// NewIdentity makes a key pair for encryption at rest: identity is the secret
// that reads, recipient is what a writer needs.
func NewIdentity() (identity, recipient string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", fmt.Errorf("make identity: %w", err)
	}
	return id.String(), id.Recipient().String(), nil
}
