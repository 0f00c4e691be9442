package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"ekassa/agent/config"
	"ekassa/agent/dispatch"
	"ekassa/agent/frontdoor"
	"ekassa/agent/listen"
	"ekassa/agent/receipt"
	"ekassa/cloud/wire"
)

// door is a front door whose port is taken.
type door struct {
	config.FrontDoor
	net.Listener
}

// openDoors takes the ports of all front doors, or of none.
func openDoors(list []config.FrontDoor) (doors []door, err error) {
	for n, d := range list {
		if d.Protocol != wire.DriverAzSmart {
			closeDoors(doors)
			return nil, fmt.Errorf("open front_doors[%d]: this program has no door for %s yet; use %s", n, d.Protocol, wire.DriverAzSmart)
		}
		l, err := listen.TCP(d.Listen)
		if err != nil {
			closeDoors(doors)
			return nil, fmt.Errorf("listen for %s on front_doors[%d] %s: %w; stop the other program or choose another listen",
				d.Terminal, n, d.Listen, errors.Unwrap(err))
		}
		doors = append(doors, door{d, l})
	}
	return doors, nil
}

// closeDoors gives the ports back, where they are not given back already.
func closeDoors(doors []door) {
	for _, d := range doors {
		_ = d.Close()
	}
}

// handler answers the till in the protocol that it speaks.
func (d door) handler(j *receipts, desk *dispatch.Desk, settings func() wire.Settings, log *slog.Logger) http.Handler {
	return frontdoor.AzSmart(frontdoor.Config{
		Terminal: d.Terminal, Journal: j, Desk: desk, Log: log,
		Shop: func() frontdoor.Shop {
			s := settings()
			zone, err := s.Location()
			if err != nil { // settings in force were validated
				zone = time.FixedZone("+04:00", 4*60*60)
			}
			shop := frontdoor.Shop{Enabled: s.Module.Enabled, Zone: zone, Language: s.Language, Tax: receipt.Tax{
				Type: receipt.TaxType(s.Tax.Type), Name: s.Tax.Name, Rate: receipt.Percent(s.Tax.Rate.Hundredths()),
			}}
			if r, ok := s.ActiveRegister(d.Terminal); ok {
				shop.MerchantID = r.MerchantID.Reveal()
			}
			return shop
		},
	})
}
