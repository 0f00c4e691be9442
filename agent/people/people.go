// Package people keeps who may work on the staff page: people.json in the data
// folder, with a name, a role and the argon2id hash of a PIN for each. A PIN is
// six random digits, told once, as a till's token is (package token).
//
// Six digits can be tried out, so the tries are counted: after five misses in a
// row a person has to wait, longer each time. Somebody else's misses count too:
// a stranger can keep a person out for a quarter of an hour, and get no further.
//
// The file is the truth: a running agent reads it again when it changed.
package people

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"ekassa/agent/durable"
)

// The roles. A manager may do all that a cashier may, and decides.
const (
	Cashier = "cashier"
	Manager = "manager"
)

// Roles are all of them.
var Roles = []string{Cashier, Manager}

const fileName = "people.json"

// Errors of Add, Remove and Verify.
var (
	ErrNone = errors.New("there is no such person")
	ErrPIN  = errors.New("the PIN is not right")
)

// Locked is given where a person has to wait before the next try.
type Locked struct{ For time.Duration }

func (l *Locked) Error() string {
	return fmt.Sprintf("too many wrong PINs; wait %s", l.For.Round(time.Second))
}

// Argon2id with what OWASP's password storage page gives as its minimum: a Pi
// takes about half a second for it.
const (
	argonTime   = 2
	argonMemory = 19 << 10 // KiB
	argonKey    = 32
)

// Misses in a row that cost nothing, and what the next ones cost.
const (
	freeMisses = 5
	firstPause = time.Minute
	mostPause  = 15 * time.Minute
)

// maxName is the most characters of a name: it is a button on the page.
const maxName = 40

// Person is what is known of one; never the PIN.
type Person struct {
	Name  string    `json:"name"`
	Role  string    `json:"role"`
	Since time.Time `json:"since"` // of the PIN: a new one ends the sessions of the old one
	Salt  string    `json:"salt"`  // hex
	Hash  string    `json:"argon2id"`
}

// Store is the file. Its methods may be called from several goroutines, and
// from several processes; the misses are counted in this one.
type Store struct {
	file *durable.File[[]Person]
	now  func() time.Time

	verify sync.Mutex // one at a time: each takes 19 MiB
	misses map[string]misses
}

type misses struct {
	count int
	until time.Time // no try before
}

// Open gives the store in a data folder. The file need not be there yet.
func Open(dir string) *Store {
	return &Store{file: durable.NewFile(filepath.Join(dir, fileName), parse), now: time.Now, misses: map[string]misses{}}
}

// Add gives a person a PIN, which is only ever shown here. Where the person has
// one, it is replaced, and so is the role.
func (s *Store) Add(name, role string) (pin string, err error) {
	name = strings.Join(strings.Fields(norm.NFC.String(name)), " ")
	switch {
	case name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxName ||
		strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", fmt.Errorf("add a PIN: %q is no name; use 1 to %d characters", name, maxName)
	case !slices.Contains(Roles, role):
		return "", fmt.Errorf("add a PIN for %s: there is no role %q; use %s", name, role, strings.Join(Roles, " or "))
	}
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", fmt.Errorf("make a PIN: %w", err)
	}
	pin = fmt.Sprintf("%06d", n)
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails: crypto/rand ends the program instead
	p := Person{
		Name: name, Role: role, Since: s.now().UTC().Truncate(time.Microsecond),
		Salt: hex.EncodeToString(salt[:]), Hash: hex.EncodeToString(hash(pin, salt[:])),
	}
	err = s.file.Change(func(list []Person) (any, error) {
		if n := find(list, name); n >= 0 {
			list = slices.Clone(list)
			list[n] = p
			return document{list}, nil
		}
		return document{append(slices.Clone(list), p)}, nil
	})
	if err != nil {
		return "", fmt.Errorf("add a PIN for %s: %w", name, err)
	}
	return pin, nil
}

// Remove takes a person's PIN away; that ends the person's sessions. Error:
// ErrNone.
func (s *Store) Remove(name string) error {
	err := s.file.Change(func(list []Person) (any, error) {
		n := find(list, name)
		if n < 0 {
			return nil, ErrNone
		}
		return document{slices.Delete(slices.Clone(list), n, n+1)}, nil
	})
	if err != nil {
		return fmt.Errorf("remove the PIN of %q: %w", name, err)
	}
	return nil
}

// List gives all people, in the order in which they were added.
func (s *Store) List() ([]Person, error) {
	list, err := s.file.Read()
	if err != nil {
		return nil, fmt.Errorf("list the people: %w", err)
	}
	return slices.Clone(list), nil
}

// Names are those that the page offers; none where the file cannot be read.
func (s *Store) Names() []string {
	list, _ := s.List() // the doctor tells of the error; here nobody can sign in
	names := make([]string, 0, len(list))
	for _, p := range list {
		names = append(names, p.Name)
	}
	return names
}

// Role gives a person's role, and since when the PIN is this one. A file that
// cannot be read lets nobody in.
func (s *Store) Role(name string) (role string, since time.Time, ok bool) {
	list, err := s.List()
	if err != nil {
		return "", time.Time{}, false
	}
	n := find(list, name)
	if n < 0 {
		return "", time.Time{}, false
	}
	return list[n].Role, list[n].Since, true
}

// Verify says whether this is the person's PIN. Errors: ErrPIN, ErrNone, *Locked
// (the PIN was not looked at), or that the file cannot be read.
func (s *Store) Verify(name, pin string) error {
	list, err := s.List()
	if err != nil {
		return err
	}
	n := find(list, name)
	if n < 0 {
		return ErrNone
	}
	s.verify.Lock()
	defer s.verify.Unlock()
	m := s.misses[name]
	if wait := m.until.Sub(s.now()); wait > 0 {
		return &Locked{For: wait}
	}
	salt, err := hex.DecodeString(list[n].Salt)
	if err != nil {
		return fmt.Errorf("read the PIN of %s: %w; add it anew", name, err)
	}
	want, err := hex.DecodeString(list[n].Hash)
	if err != nil {
		return fmt.Errorf("read the PIN of %s: %w; add it anew", name, err)
	}
	if subtle.ConstantTimeCompare(hash(pin, salt), want) == 1 {
		delete(s.misses, name)
		return nil
	}
	if m.count++; m.count >= freeMisses {
		m.until = s.now().Add(min(mostPause, firstPause<<min(m.count-freeMisses, 10)))
	}
	s.misses[name] = m
	return ErrPIN
}

func hash(pin string, salt []byte) []byte {
	return argon2.IDKey([]byte(pin), salt, argonTime, argonMemory, 1, argonKey)
}

func find(list []Person, name string) int {
	return slices.IndexFunc(list, func(p Person) bool { return p.Name == name })
}

type document struct {
	People []Person `json:"people"`
}

func parse(data []byte) ([]Person, error) {
	const cure = "restore it, or remove it and give new PINs"
	var d document
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("%w; %s", err, cure)
	}
	for n, p := range d.People {
		salt, err := hex.DecodeString(p.Salt)
		sum, err2 := hex.DecodeString(p.Hash)
		if err != nil || err2 != nil || len(salt) < 16 || len(sum) != argonKey || p.Name == "" || !slices.Contains(Roles, p.Role) ||
			find(d.People, p.Name) != n {
			return nil, fmt.Errorf("person %d is not whole, or there twice; %s", n+1, cure)
		}
	}
	return d.People, nil
}
