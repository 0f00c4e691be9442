package omnitech

import (
	"context"
	"net/netip"

	"ekassa/agent/register"
)

// Recognise asks whatever is at the address whether it is a register of this
// maker. No account is needed or sent: getInfo without an access token is
// answered with the envelope's code 401, or, where none is wanted, with the
// token's serial. The error is a *register.Fault where nobody answers; what
// answers otherwise is no register of this maker.
func Recognise(ctx context.Context, addr netip.AddrPort) (bool, error) {
	d := New(Config{Addr: addr})
	reply := d.post(ctx, "get_info", ask(opGetInfo), d.cfg.Question)
	a, err := decode(reply.Body)
	if err != nil {
		if len(reply.Body) == 0 && reply.Err != nil {
			return false, &register.Fault{Cause: register.Unreachable, Err: reply.Err}
		}
		return false, nil
	}
	code, ok := a.code()
	switch {
	case !ok:
		return false, nil
	case code == 0:
		return a.inner("data").text("cashbox_factory_number") != "", nil
	}
	return (code == codeSession || code == -11) && a.text("message") != "", nil
}
