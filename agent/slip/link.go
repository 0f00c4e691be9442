package slip

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ekassa/agent/durable"
)

// keyFile holds the secret of the links, in the data folder.
const keyFile = "slip.key"

// Links makes the token of a receipt's page, and reads it back. A token is one
// block of AES-128 under a secret of this agent: the receipt's key (see
// receipt.Stored) and eight zero bytes. Who has one token learns nothing of
// another, not even how many there are, and one that is made up passes for a token
// with a chance of 2^-64, and then has to hit a receipt.
type Links struct{ block cipher.Block }

// OpenLinks reads the secret from the data folder, or makes it where there is none.
// Without it, or with another, the links on papers that were given out lead nowhere.
func OpenLinks(dir string) (Links, error) {
	path := filepath.Join(dir, keyFile)
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, 16)
		_, _ = rand.Read(key) // never fails: crypto/rand ends the program instead
		err = durable.Replace(path, key)
	}
	if err != nil {
		return Links{}, fmt.Errorf("open the secret of the guests' links: %w", err)
	}
	if len(key) != 16 {
		return Links{}, fmt.Errorf("open the secret of the guests' links: %s has %d bytes instead of 16; remove it, and papers that were given out lead nowhere", path, len(key))
	}
	block, err := aes.NewCipher(key)
	return Links{block}, err
}

// Token gives that of a receipt's key, 22 characters for a URL.
func (l Links) Token(key int64) string {
	var b [aes.BlockSize]byte
	binary.BigEndian.PutUint64(b[:], uint64(key))
	l.block.Encrypt(b[:], b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Key reads a token; ok is false for what is none of ours.
func (l Links) Key(token string) (key int64, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) != aes.BlockSize {
		return 0, false
	}
	l.block.Decrypt(b, b)
	key = int64(binary.BigEndian.Uint64(b))
	if subtle.ConstantTimeCompare(b[8:], make([]byte, 8)) != 1 || key <= 0 {
		return 0, false
	}
	return key, true
}
