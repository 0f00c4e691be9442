// Package token keeps the tills' bearer tokens: tokens.json in the data folder,
// which holds only the SHA-256 of each. A token is 256 random bits, so a plain
// hash cannot be turned back, and a till is told its token once.
//
// The file is the truth: a running agent reads it again when it changed, so
// that a token added or revoked by a command counts at once.
package token

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ekassa/agent/durable"
)

// Prefix starts every token, so that one that leaks is recognised.
const Prefix = "ek_"

const fileName = "tokens.json"

// ErrNone is given where a terminal has no token to revoke.
var ErrNone = errors.New("the terminal has no token")

// Token is what is known of a token; never the token itself.
type Token struct {
	Terminal  string    `json:"terminal"`
	CreatedAt time.Time `json:"created_at"`
	Hash      string    `json:"sha256"` // hex
}

// Store is the file. Its methods may be called from several goroutines, and
// from several processes.
type Store struct {
	file *durable.File[content]
}

// content is what the file holds.
type content struct {
	tokens []Token
	hashes [][sha256.Size]byte // of them
}

// Open gives the store in a data folder. The file need not be there yet.
func Open(dir string) *Store { return &Store{durable.NewFile(filepath.Join(dir, fileName), parse)} }

// Add makes a token for the terminal. It is only ever shown here.
func (s *Store) Add(terminal string) (string, error) {
	if terminal == "" || strings.ContainsFunc(terminal, func(r rune) bool { return r < ' ' }) {
		return "", fmt.Errorf("add token: %q is no terminal's id", terminal)
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: crypto/rand ends the program instead
	token := Prefix + base64.RawURLEncoding.EncodeToString(secret[:])
	sum := sha256.Sum256([]byte(token))
	err := s.file.Change(func(c content) (any, error) {
		return document{append(slices.Clip(c.tokens), Token{
			Terminal: terminal, CreatedAt: time.Now().UTC().Truncate(time.Second), Hash: hex.EncodeToString(sum[:]),
		})}, nil
	})
	if err != nil {
		return "", fmt.Errorf("add token: %w", err)
	}
	return token, nil
}

// Revoke takes all tokens of the terminal back, and says how many there were.
// ErrNone: there was none.
func (s *Store) Revoke(terminal string) (int, error) {
	var count int
	err := s.file.Change(func(c content) (any, error) {
		left := slices.DeleteFunc(slices.Clone(c.tokens), func(t Token) bool { return t.Terminal == terminal })
		if count = len(c.tokens) - len(left); count == 0 {
			return nil, ErrNone
		}
		return document{left}, nil
	})
	if err != nil {
		return 0, fmt.Errorf("revoke tokens of %q: %w", terminal, err)
	}
	return count, nil
}

// List gives all tokens, oldest first.
func (s *Store) List() ([]Token, error) {
	c, err := s.file.Read()
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return slices.Clone(c.tokens), nil
}

// Terminal says whose token this is. A file that cannot be read lets nobody in.
func (s *Store) Terminal(token string) (terminal string, ok bool) {
	sum := sha256.Sum256([]byte(token))
	c, err := s.file.Read()
	if err != nil {
		return "", false
	}
	// All of them are compared, so that the time tells nothing.
	for n, h := range c.hashes {
		if subtle.ConstantTimeCompare(sum[:], h[:]) == 1 {
			terminal, ok = c.tokens[n].Terminal, true
		}
	}
	return terminal, ok
}

// Check says whether the file can be read, for the doctor.
func (s *Store) Check() error {
	_, err := s.List()
	return err
}

type document struct {
	Tokens []Token `json:"tokens"`
}

func parse(data []byte) (c content, err error) {
	const cure = "restore it, or remove it and make new tokens"
	var d document
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return c, fmt.Errorf("%w; %s", err, cure)
	}
	hashes := make([][sha256.Size]byte, len(d.Tokens))
	for n, t := range d.Tokens {
		b, err := hex.DecodeString(t.Hash)
		if err != nil || len(b) != sha256.Size || t.Terminal == "" {
			return c, fmt.Errorf("token %d has no terminal or no SHA-256; %s", n+1, cure)
		}
		hashes[n] = [sha256.Size]byte(b)
	}
	return content{d.Tokens, hashes}, nil
}
