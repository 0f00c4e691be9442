package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"ekassa/agent/discovery"
	"ekassa/agent/register"
	"ekassa/agent/register/azsmart"
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
	switch r.Driver {
	case wire.DriverAzSmart:
		dial = func(addr netip.AddrPort) register.Register {
			return azsmart.New(azsmart.Config{Addr: addr, MerchantID: r.MerchantID.Reveal(), Zone: zone, Settle: settle})
		}
	default:
		return driver{}, fmt.Errorf("set up register %s: this program has no driver for %s yet; use %s", r.ID, r.Driver, wire.DriverAzSmart)
	}
	return driver{dial: dial, prove: func(ctx context.Context, addr netip.AddrPort) (discovery.Identity, error) {
		id, err := dial(addr).Identify(ctx)
		var f *register.Fault
		switch {
		case err == nil:
			return discovery.Identity{Serial: id.Serial, Model: id.Model, Signed: true}, nil
		case errors.As(err, &f) && f.Cause == register.Credentials:
			return discovery.Identity{}, nil // of our maker, and another Merchant ID
		}
		return discovery.Identity{}, err
	}}, nil
}

// recognisers prove a maker without any register's secret, for people who have
// just unpacked one.
func recognisers() map[string]discovery.Prover {
	return map[string]discovery.Prover{
		wire.DriverAzSmart: func(ctx context.Context, addr netip.AddrPort) (discovery.Identity, error) {
			ok, err := azsmart.Recognise(ctx, addr)
			if err == nil && !ok {
				err = errors.New("it does not speak AzSmart's protocol")
			}
			return discovery.Identity{}, err
		},
	}
}
