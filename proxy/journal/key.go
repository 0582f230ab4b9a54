package journal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	lockName = "LOCK"
	keyName  = "journal.key"
)

// journalKey is what the file journal.key holds, as text with mode 0600: the
// journal's id and the key of its wire hashes. The file is never encrypted,
// for a writer has no identity to read it with. Whoever has it can test a
// guess of all wire bytes of one direction against the hash in the journal;
// in an encrypted journal that hash is sealed.
type journalKey struct {
	id   [16]byte
	hmac [32]byte
}

// lock takes the lock of the journal in dir.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock journal: %w", err)
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock journal %s: %w", dir, err)
	}
	return f, nil
}

// loadKey reads the key file, and makes it where there is none.
func loadKey(d disk, dir string) (journalKey, error) {
	var k journalKey
	path := filepath.Join(dir, keyName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		rand.Read(k.id[:])
		rand.Read(k.hmac[:])
		return k, replace(d, path, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "capstan journal 1\nid %x\nkey %x\n", k.id, k.hmac)
			return err
		})
	}
	if err != nil {
		return k, fmt.Errorf("read journal key: %w", err)
	}
	var id, key string
	if n, err := fmt.Sscanf(string(text), "capstan journal 1\nid %s\nkey %s\n", &id, &key); n != 2 || err != nil {
		return k, fmt.Errorf("read journal key: %s is damaged: move it away, and hashes will use a key of their own from then on", path)
	}
	if a, _ := hex.Decode(k.id[:], []byte(id[:min(len(id), 32)])); a != len(k.id) {
		return k, fmt.Errorf("read journal key: %s has no id: move it away", path)
	}
	if a, _ := hex.Decode(k.hmac[:], []byte(key[:min(len(key), 64)])); a != len(k.hmac) {
		return k, fmt.Errorf("read journal key: %s has no key: move it away", path)
	}
	return k, nil
}

// WireHash returns a hash for the wire bytes of one direction: HMAC-SHA-256
// under the journal's own key, which is kept in the file journal.key of its
// directory. Equal bytes have equal hashes within a journal, and a hash says
// nothing to those who do not have the key.
func (w *Writer) WireHash() hash.Hash { return hmac.New(sha256.New, w.key.hmac[:]) }
