package caspos

import (
	"context"
	"net/netip"

	"ekassa/agent/register"
	"ekassa/agent/register/tokencode"
)

// Recognise asks whatever is at the address whether it is a register of this
// maker. No login is needed or sent: only this maker's register answers the
// question for its shift in its own envelope, or asks for a login in it. The
// error is a *register.Fault where nobody answers.
func Recognise(ctx context.Context, addr netip.AddrPort) (bool, error) {
	d := New(Config{Addr: addr})
	a, got, err := d.post(ctx, request{Operation: opShift}, d.cfg.Question)
	switch {
	case err != nil && len(got.Body) == 0 && got.Err != nil:
		return false, &register.Fault{Cause: register.Unreachable, Err: got.Err}
	case err != nil:
		return false, nil
	case a.code == tokencode.Success:
		_, told := a.data.raw("shift_open")
		return told, nil
	}
	return a.code == codeSession || a.code == tokencode.WrongRole, nil
}
