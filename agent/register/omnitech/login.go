package omnitech

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"ekassa/agent/register"
	"ekassa/agent/register/tokencode"
)

// loginPause is between two logins where the first one was refused.
const loginPause = time.Minute

// Login is an account on registers, and the access tokens that it got: in memory
// only (section 3). The drivers of one register share it, so that a refused login
// is not tried again by the next driver of the same register: three wrong PINs
// lock the token. It may be used at the same time by several.
type Login struct {
	name, password string

	mu       sync.Mutex
	sessions map[netip.AddrPort]*session
}

type session struct {
	hidden atomic.Value // the last token, to be taken out of texts

	turn    sync.Mutex // one login at a time; guards what is below
	token   string
	refused error     // why the last login failed
	until   time.Time // no login before it
	never   bool      // no login again
}

// NewLogin makes a login. It sends nothing.
func NewLogin(name, password string) *Login {
	return &Login{name: name, password: password, sessions: map[netip.AddrPort]*session{}}
}

// String leaves the secrets out.
func (l *Login) String() string { return "omnitech login" }

// GoString leaves the secrets out.
func (l *Login) GoString() string { return l.String() }

func (l *Login) at(addr netip.AddrPort) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sessions[addr]
	if s == nil {
		s = &session{}
		l.sessions[addr] = s
	}
	return s
}

// token gives an access token other than the dead one: the one that is there, or
// a new one of one login. The error is a *register.Fault.
func (d *Driver) token(ctx context.Context, dead string) (string, error) {
	s := d.login.at(d.cfg.Addr)
	s.turn.Lock()
	defer s.turn.Unlock()
	switch {
	case s.token != "" && s.token != dead:
		return s.token, nil
	case d.login.name == "" || d.login.password == "":
		return "", &register.Fault{Cause: register.Credentials, Err: errors.New("log in: no account is set; write username and password of the register in the settings")}
	case s.never || d.cfg.Now().Before(s.until):
		return "", s.refused
	}
	s.token = ""
	r := ask(opLogin)
	r.Name, r.Password = d.login.name, d.login.password
	reply := d.post(ctx, "login", r, d.cfg.Question)
	a, err := decode(reply.Body)
	if err != nil {
		if reply.Err != nil {
			return "", &register.Fault{Cause: register.Unreachable, Err: reply.Err}
		}
		return "", d.noLogin(s, &register.Fault{Cause: register.Other, Err: fmt.Errorf("log in: %w", err)})
	}
	if t := a.text("access_token"); t != "" { // the code is 1 here, and decides nothing (section 3)
		s.token, s.refused, s.until = t, nil, time.Time{}
		s.hidden.Store(t)
		return t, nil
	}
	code, ok := a.code()
	f := &register.Fault{Cause: register.Credentials, Code: a.codeText(), Text: d.mask(a.message()), Err: errors.New("log in: refused")}
	switch c := tokencode.Of(code); {
	case !ok:
		f.Cause, f.Err = register.Other, fmt.Errorf("log in: %w", register.ErrNotAnswer)
	case isPIN(code):
		s.never = true
		f.Err = errPIN
	case code == codeQueued, c.Class == tokencode.Wait:
		f.Cause = register.Busy
	case code == 0:
		f.Cause, f.Err = register.Other, errors.New("log in: the answer has no access token")
	}
	return "", d.noLogin(s, f)
}

var errPIN = errors.New("nothing more is asked of the register before the settings change or the agent starts anew, since three wrong PINs lock the token")

// isPIN says whether a code is about the token's PIN (section 13).
func isPIN(code int64) bool { return code >= tokencode.WrongPIN && code <= tokencode.PUKLocked }

// heed ends the talk with a register that answers anything with a wrong PIN: the
// next document would be the next miss.
func (d *Driver) heed(a answer) {
	code, ok := a.code()
	if !ok || !isPIN(code) {
		return
	}
	s := d.login.at(d.cfg.Addr)
	s.turn.Lock()
	defer s.turn.Unlock()
	s.token, s.never = "", true
	s.refused = &register.Fault{Cause: register.Credentials, Code: a.codeText(), Text: clip(d.mask(a.text("message"))), Err: errPIN}
}

func (d *Driver) noLogin(s *session, f *register.Fault) error {
	s.refused, s.until = f, d.cfg.Now().Add(loginPause)
	if f.Cause == register.Busy {
		s.until = time.Time{}
	}
	return f
}
