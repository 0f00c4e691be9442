package control

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

// How long people stay logged in, and tokens of programs are good.
const (
	SessionLasts = 12 * time.Hour
	TokenLasts   = 365 * 24 * time.Hour
)

// The kinds of a session.
const (
	KindSession = "session" // of a person in the console
	KindToken   = "token"   // of a program at the API
)

// ErrTooMany: somebody guesses.
var ErrTooMany = errors.New("too many attempts")

// ErrPassword: no such user, or another password.
var ErrPassword = errors.New("name or password is wrong")

// tries counts what failed, so that nobody can guess on.
type tries struct {
	now func() time.Time
	mu  sync.Mutex
	of  map[string][]time.Time
}

// So many attempts may fail in the time: of one name, and from one address.
const (
	triesIn   = 15 * time.Minute
	triesName = 10
	triesFrom = 50
)

// allow says whether a key may try once more, and counts it.
func (t *tries) allow(key string, most int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if len(t.of) > 10_000 { // whoever sends so many names is no person
		clear(t.of)
	}
	recent := t.of[key][:0]
	for _, at := range t.of[key] {
		if now.Sub(at) < triesIn {
			recent = append(recent, at)
		}
	}
	if len(recent) >= most {
		t.of[key] = recent
		return false
	}
	t.of[key] = append(recent, now)
	return true
}

func (t *tries) forget(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.of, key)
}

// Login gives a person a session's secret. from is the address that asks.
// Errors: ErrPassword, ErrTooMany.
func (c *Control) Login(ctx context.Context, name, password, from string) (secret string, s fleet.Session, err error) {
	if !c.tries.allow("from "+from, triesFrom) || !c.tries.allow("name "+name, triesName) {
		return "", s, ErrTooMany
	}
	u, err := c.store.User(ctx, name)
	if err != nil && !errors.Is(err, fleet.ErrNotFound) {
		return "", s, err
	}
	hash := u.PasswordHash
	if err != nil || hash == "" {
		hash = fleet.Nobody
	}
	if !fleet.CheckPassword(hash, password) || err != nil || u.Disabled {
		return "", s, ErrPassword
	}
	c.tries.forget("name " + name)
	if err := c.note(ctx, Person{Name: name}, "session.open", name, "from "+from); err != nil {
		return "", s, err
	}
	return c.open(ctx, name, KindSession, SessionLasts)
}

func (c *Control) open(ctx context.Context, user, kind string, lasts time.Duration) (secret string, s fleet.Session, err error) {
	secret = fleet.NewToken("ek_")
	s = fleet.Session{Hash: fleet.HashToken(secret), User: user, Kind: kind, CreatedAt: c.now(), ExpiresAt: c.now().Add(lasts)}
	return secret, s, c.store.AddSession(ctx, s)
}

// Logout ends a session.
func (c *Control) Logout(ctx context.Context, secret string) error {
	return c.store.EndSession(ctx, fleet.HashToken(secret))
}

// Who says whose a secret is, and of which kind. Errors: fleet.ErrNotFound,
// fleet.ErrSpent.
func (c *Control) Who(ctx context.Context, secret string) (Person, string, error) {
	s, u, err := c.store.Session(ctx, fleet.HashToken(secret), c.now())
	if err != nil {
		return Person{}, "", err
	}
	if u.Disabled {
		return Person{}, "", fleet.ErrSpent
	}
	return Person{Name: u.Name, Role: u.Role}, s.Kind, nil
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// AddUser adds one, and gives the password that was made for them, and a token
// for programs. Both are told here, once. Errors: *Invalid, fleet.ErrExists.
func (c *Control) AddUser(ctx context.Context, p Person, name string, role fleet.Role) (password, token string, err error) {
	if err := p.needs(fleet.Admin); err != nil {
		return "", "", err
	}
	if !nameForm.MatchString(name) {
		return "", "", invalid("name", wire.CodeValue, "A–Z, a–z, 0–9, ., _, @, -; 1–64", "must be 1 to 64 letters, digits, '.', '_', '@' and '-', the first a letter or digit")
	}
	if !role.May(fleet.Viewer) {
		return "", "", invalid("role", wire.CodeValue, "admin, operator, viewer", "must be admin, operator or viewer")
	}
	if _, err := c.store.User(ctx, name); !errors.Is(err, fleet.ErrNotFound) {
		return "", "", errors.Join(err, exists(err))
	}
	if err := c.note(ctx, p, "user.add", name, string(role)); err != nil {
		return "", "", err
	}
	password = fleet.NewPassword()
	if err := c.store.PutUser(ctx, fleet.User{Name: name, Role: role, PasswordHash: fleet.HashPassword(password), CreatedAt: c.now()}); err != nil {
		return "", "", err
	}
	token, _, err = c.open(ctx, name, KindToken, TokenLasts)
	return password, token, err
}

// ChangeUser gives a user another role, or switches them off or on. The last
// admin stays one.
func (c *Control) ChangeUser(ctx context.Context, p Person, name string, role fleet.Role, disabled bool) (u fleet.User, err error) {
	if err := p.needs(fleet.Admin); err != nil {
		return u, err
	}
	if !role.May(fleet.Viewer) {
		return u, invalid("role", wire.CodeValue, "admin, operator, viewer", "must be admin, operator or viewer")
	}
	if u, err = c.store.User(ctx, name); err != nil {
		return u, err
	}
	if u.Role == fleet.Admin && !u.Disabled && (disabled || role != fleet.Admin) {
		all, err := c.store.Users(ctx)
		if err != nil {
			return u, err
		}
		admins := 0
		for _, x := range all {
			if x.Role == fleet.Admin && !x.Disabled {
				admins++
			}
		}
		if admins == 1 {
			return u, invalid("role", wire.CodeConflict, "", "this is the last admin; make another one first")
		}
	}
	if err := c.note(ctx, p, "user.change", name, fmt.Sprintf("%s, disabled %t", role, disabled)); err != nil {
		return u, err
	}
	u.Role, u.Disabled = role, disabled
	return u, c.store.PutUser(ctx, u)
}

// NewPassword sets one's own password. Errors: ErrPassword where the old one is
// wrong, *Invalid.
func (c *Control) NewPassword(ctx context.Context, p Person, old, password string) error {
	if !c.tries.allow("name "+p.Name, triesName) {
		return ErrTooMany
	}
	u, err := c.store.User(ctx, p.Name)
	if err != nil {
		return err
	}
	if !fleet.CheckPassword(u.PasswordHash, old) {
		return ErrPassword
	}
	c.tries.forget("name " + p.Name)
	if n := len([]rune(password)); n < fleet.MinPassword || n > 200 {
		return invalid("password", wire.CodeValue, fmt.Sprintf("%d–200", fleet.MinPassword), fmt.Sprintf("must be %d to 200 characters", fleet.MinPassword))
	}
	if err := c.note(ctx, p, "user.password", p.Name, ""); err != nil {
		return err
	}
	u.PasswordHash = fleet.HashPassword(password)
	return c.store.PutUser(ctx, u)
}

// NewToken gives a user's program a token, told here once. For others than
// oneself it takes an admin.
func (c *Control) NewToken(ctx context.Context, p Person, name string) (token string, until time.Time, err error) {
	if name != p.Name {
		if err := p.needs(fleet.Admin); err != nil {
			return "", until, err
		}
	}
	if _, err := c.store.User(ctx, name); err != nil {
		return "", until, err
	}
	if err := c.note(ctx, p, "token.add", name, ""); err != nil {
		return "", until, err
	}
	token, s, err := c.open(ctx, name, KindToken, TokenLasts)
	return token, s.ExpiresAt, err
}

// Users are all of them, for an admin.
func (c *Control) Users(ctx context.Context, p Person) ([]fleet.User, error) {
	if err := p.needs(fleet.Admin); err != nil {
		return nil, err
	}
	return c.store.Users(ctx)
}
