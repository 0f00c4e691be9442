package azsmart

import (
	"context"
	"net/netip"

	"ekassa/agent/register"
)

// Recognise asks whatever is at the address whether it is a register of this
// maker. No Merchant ID is needed or sent: the question is signed with nonsense,
// and only this maker's register answers that in its own envelope, with code 1
// or, where it does not check, with a success. The error is a *register.Fault
// where nobody answers; what answers otherwise is no register of this maker.
func Recognise(ctx context.Context, addr netip.AddrPort) (bool, error) {
	d := New(Config{Addr: addr, MerchantID: "00000000000000000000000000000000"})
	r := d.post(ctx, routeCheckShift, []byte(`{}`), d.cfg.Question)
	a, err := decode(r.Body)
	if err != nil {
		if len(r.Body) == 0 && r.Err != nil {
			return false, &register.Fault{Cause: register.Unreachable, Err: r.Err}
		}
		return false, nil
	}
	success, told := a.status()
	code, ok := a.code()
	switch {
	case !told || !ok:
		return false, nil
	case success:
		return code == 0 && a.has("isShiftOpen", "shiftStatus"), nil
	}
	return code == codeAuth, nil
}

// Prove asks the register who it is with the Merchant ID in the settings. The
// error is a *register.Fault; Credentials as its cause: it is there and refuses
// the Merchant ID.
func Prove(ctx context.Context, c Config) (register.Identity, error) {
	return New(c).Identify(ctx)
}
