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
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

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
	path string

	mu     sync.Mutex
	seen   os.FileInfo // of the file that tokens was read from
	tokens []Token
	hashes [][sha256.Size]byte
}

// Open gives the store in a data folder. The file need not be there yet.
func Open(dir string) *Store { return &Store{path: filepath.Join(dir, fileName)} }

// Add makes a token for the terminal. It is only ever shown here.
func (s *Store) Add(terminal string) (string, error) {
	if terminal == "" || strings.ContainsFunc(terminal, func(r rune) bool { return r < ' ' }) {
		return "", fmt.Errorf("add token: %q is no terminal's id", terminal)
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: crypto/rand ends the program instead
	token := Prefix + base64.RawURLEncoding.EncodeToString(secret[:])
	sum := sha256.Sum256([]byte(token))
	err := s.change(func(tokens []Token) ([]Token, error) {
		return append(tokens, Token{
			Terminal: terminal, CreatedAt: time.Now().UTC().Truncate(time.Second), Hash: hex.EncodeToString(sum[:]),
		}), nil
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
	err := s.change(func(tokens []Token) ([]Token, error) {
		left := slices.DeleteFunc(slices.Clone(tokens), func(t Token) bool { return t.Terminal == terminal })
		if count = len(tokens) - len(left); count == 0 {
			return nil, ErrNone
		}
		return left, nil
	})
	if err != nil {
		return 0, fmt.Errorf("revoke tokens of %q: %w", terminal, err)
	}
	return count, nil
}

// List gives all tokens, oldest first.
func (s *Store) List() ([]Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return slices.Clone(s.tokens), nil
}

// Terminal says whose token this is. A file that cannot be read lets nobody in.
func (s *Store) Terminal(token string) (terminal string, ok bool) {
	sum := sha256.Sum256([]byte(token))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refresh() != nil {
		return "", false
	}
	// All of them are compared, so that the time tells nothing.
	for n, h := range s.hashes {
		if subtle.ConstantTimeCompare(sum[:], h[:]) == 1 {
			terminal, ok = s.tokens[n].Terminal, true
		}
	}
	return terminal, ok
}

// Check says whether the file can be read, for the doctor.
func (s *Store) Check() error {
	_, err := s.List()
	return err
}

// refresh reads the file again where it is another one than before. Writers
// always put a new file in its place, so its identity tells as well as its
// time and size do.
func (s *Store) refresh() error {
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		s.seen, s.tokens, s.hashes = nil, nil, nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("read tokens: %w", err)
	}
	if s.seen != nil && os.SameFile(s.seen, info) && s.seen.ModTime().Equal(info.ModTime()) && s.seen.Size() == info.Size() {
		return nil
	}
	s.seen = nil // whatever goes wrong now, it is read again the next time
	data, err := os.ReadFile(s.path)
	if err != nil {
		return fmt.Errorf("read tokens: %w", err)
	}
	tokens, hashes, err := parse(data)
	if err != nil {
		return fmt.Errorf("read %s: %w; restore it, or remove it and make new tokens", s.path, err)
	}
	s.seen, s.tokens, s.hashes = info, tokens, hashes
	return nil
}

type document struct {
	Tokens []Token `json:"tokens"`
}

func parse(data []byte) ([]Token, [][sha256.Size]byte, error) {
	var d document
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return nil, nil, err
	}
	hashes := make([][sha256.Size]byte, len(d.Tokens))
	for n, t := range d.Tokens {
		b, err := hex.DecodeString(t.Hash)
		if err != nil || len(b) != sha256.Size || t.Terminal == "" {
			return nil, nil, fmt.Errorf("token %d has no terminal or no SHA-256", n+1)
		}
		hashes[n] = [sha256.Size]byte(b)
	}
	return d.Tokens, hashes, nil
}

// change reads, changes and writes the file, with every other writer kept out.
func (s *Store) change(f func([]Token) ([]Token, error)) (err error) {
	// A till's token may well be made before the agent first runs.
	if err := os.Mkdir(filepath.Dir(s.path), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make the data folder: %w", err)
	}
	lock := flock.New(s.path+".lock", flock.SetPermissions(0o600))
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("lock %s: %w", s.path, err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()

	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = nil
	if err := s.refresh(); err != nil {
		return err
	}
	tokens, err := f(s.tokens)
	if err != nil {
		return err
	}
	s.seen = nil
	data, err := json.MarshalIndent(document{Tokens: tokens}, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.Replace(s.path, append(data, '\n')); err != nil {
		return fmt.Errorf("write %s: %w", s.path, err)
	}
	return nil
}
