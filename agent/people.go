package agent

import (
	"errors"
	"time"

	"ekassa/agent/people"
)

// staff is who may use the staff page, as package till asks for them.
type staff struct{ *people.Store }

// SignIn implements till.People.
func (s staff) SignIn(name, pin string) (wait time.Duration, ok bool, err error) {
	err = s.Verify(name, pin)
	var locked *people.Locked
	switch {
	case errors.As(err, &locked):
		return locked.For, false, nil
	case errors.Is(err, people.ErrPIN), errors.Is(err, people.ErrNone):
		return 0, false, nil
	}
	return 0, err == nil, err
}
