package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"ekassa/agent/crash"
	"ekassa/agent/discovery"
	"ekassa/agent/register"
	"ekassa/agent/register/azsmart"
	"ekassa/agent/register/caspos"
	"ekassa/agent/register/omnitech"
	"ekassa/cloud/wire"
)

// driver is how registers of one maker are talked to with one register's
// secret: once they are found, and to prove that they are found.
type driver struct {
	dial  register.Dialer
	prove discovery.Prover
}

// driverOf gives the driver that the settings name.
func driverOf(r wire.Register, zone *time.Location, settle time.Duration) (driver, error) {
	var dial register.Dialer
	var first discovery.Prover // asked before a stranger is told a password
	switch r.Driver {
	case wire.DriverAzSmart:
		dial = func(addr netip.AddrPort) register.Register {
			return azsmart.New(azsmart.Config{Addr: addr, MerchantID: r.MerchantID.Reveal(), Zone: zone, Settle: settle, Now: crash.Now})
		}
	case wire.DriverCaspos:
		first = recognisers()[wire.DriverCaspos]
		login := caspos.NewLogin(r.Username.Reveal(), r.Password.Reveal())
		dial = func(addr netip.AddrPort) register.Register {
			return caspos.New(caspos.Config{Addr: addr, Login: login, Zone: zone, Settle: settle, Now: crash.Now})
		}
	case wire.DriverOmnitech:
		first = recognisers()[wire.DriverOmnitech]
		login := omnitech.NewLogin(r.Username.Reveal(), r.Password.Reveal())
		dial = func(addr netip.AddrPort) register.Register {
			return omnitech.New(omnitech.Config{Addr: addr, Login: login, Zone: zone, Settle: settle, Now: crash.Now})
		}
	default:
		return driver{}, fmt.Errorf("set up register %s: this program has no driver for %s; use %s, %s or %s",
			r.ID, r.Driver, wire.DriverAzSmart, wire.DriverOmnitech, wire.DriverCaspos)
	}
	return driver{dial: dial, prove: func(ctx context.Context, addr netip.AddrPort) (discovery.Identity, error) {
		if first != nil {
			if _, err := first(ctx, addr); err != nil {
				return discovery.Identity{}, err
			}
		}
		id, err := dial(addr).Identify(ctx)
		var f *register.Fault
		switch {
		case err == nil:
			return discovery.Identity{Serial: id.Serial, Model: id.Model, Signed: true}, nil
		case errors.As(err, &f) && f.Cause == register.Credentials:
			return discovery.Identity{}, nil // of our maker, and another Merchant ID or login
		}
		return discovery.Identity{}, err
	}}, nil
}

// recognisers prove a maker without any register's secret, for people who have
// just unpacked one.
func recognisers() map[string]discovery.Prover {
	recognise := func(maker string, ask func(context.Context, netip.AddrPort) (bool, error)) discovery.Prover {
		return func(ctx context.Context, addr netip.AddrPort) (discovery.Identity, error) {
			ok, err := ask(ctx, addr)
			if err == nil && !ok {
				err = fmt.Errorf("it does not speak %s's protocol", maker)
			}
			return discovery.Identity{}, err
		}
	}
	return map[string]discovery.Prover{
		wire.DriverAzSmart:  recognise("AzSmart", azsmart.Recognise),
		wire.DriverOmnitech: recognise("Omnitech", omnitech.Recognise),
		wire.DriverCaspos:   recognise("Caspos", caspos.Recognise),
	}
}
