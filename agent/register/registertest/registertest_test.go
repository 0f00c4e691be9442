package registertest_test

import (
	"net/netip"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/azsmart"
	"ekassa/agent/register/caspos"
	"ekassa/agent/register/omnitech"
	"ekassa/agent/register/registertest"
	"ekassa/agent/register/simulator"
)

const merchant = "0123456789abcdef"

func dialAzSmart(addr netip.AddrPort, wrong bool) register.Register {
	c := azsmart.Config{Addr: addr, MerchantID: merchant, Document: 5 * time.Second, Question: 5 * time.Second}
	if wrong {
		c.MerchantID = "another"
	}
	return azsmart.New(c)
}

var azsmartRoutes = map[receipt.Kind]string{
	receipt.Sale: "/sale", receipt.Refund: "/refund", receipt.Cancel: "/rollback", receipt.Prepayment: "/prepay",
	receipt.CreditPayment: "/creditpay", receipt.Correction: "/correction", receipt.Deposit: "/deposit", receipt.Withdrawal: "/withdraw",
}

func dialOmnitech(addr netip.AddrPort, wrong bool) register.Register {
	password := "right"
	if wrong {
		password = "wrong"
	}
	return omnitech.New(omnitech.Config{
		Addr: addr, Login: omnitech.NewLogin("api", password), Document: 5 * time.Second, Question: 5 * time.Second,
	})
}

func omnitechWith(name string, quirks ...string) registertest.Maker {
	return registertest.Maker{
		Name: name, Sim: simulator.Config{Protocol: simulator.Omnitech, User: "api", Password: "right", Quirks: quirks},
		Dial: dialOmnitech,
		Routes: map[receipt.Kind]string{
			receipt.Sale: "/sale", receipt.Refund: "/money_back", receipt.Cancel: "/rollback", receipt.Prepayment: "/prepay",
			receipt.CreditPayment: "/creditpay", receipt.Correction: "/correction", receipt.Deposit: "/deposit", receipt.Withdrawal: "/withdraw",
		},
		Classes: map[receipt.Kind]register.Class{
			receipt.Sale: register.CompareAndSet, receipt.Refund: register.CompareAndSet, receipt.Correction: register.CompareAndSet,
		},
		Bad: 607,
	}
}

// makers is the table: one row for each register that the agent can talk to.
var makers = []registertest.Maker{
	{
		Name: "azsmart new", Sim: simulator.Config{Protocol: simulator.AzSmart, MerchantID: merchant, Edition: simulator.New},
		Dial: dialAzSmart, Routes: azsmartRoutes, Bad: 3,
		Classes: map[receipt.Kind]register.Class{receipt.Sale: register.Key, receipt.Refund: register.Key},
	},
	{
		Name: "azsmart classic", Sim: simulator.Config{Protocol: simulator.AzSmart, MerchantID: merchant, Edition: simulator.Classic},
		Dial: dialAzSmart, Routes: azsmartRoutes, Bad: 3,
	},
	omnitechWith("omnitech"),
	// The page's open points, read the other way (section 16).
	omnitechWith("omnitech, other readings", "key-order", "strict-fields", "login-kills-token", "copy-is-document",
		"z-not-last", "history-with-document-id", "history-lists-failures", "duplicate-639", "stamps-without-z", "shift-time-utc",
		"http-400", "no-last-document", "quotes-pass"),
	omnitechWith("omnitech, names not stored", "names-not-stored"),
	{
		Name: "caspos", Sim: simulator.Config{Protocol: simulator.Caspos, User: "api", Password: "right", Quirks: []string{"credentials-checked"}},
		Dial: func(addr netip.AddrPort, wrong bool) register.Register {
			password := "right"
			if wrong {
				password = "wrong"
			}
			return caspos.New(caspos.Config{
				Addr: addr, Login: caspos.NewLogin("api", password), Document: 5 * time.Second, Question: 5 * time.Second,
			})
		},
		Routes: map[receipt.Kind]string{
			receipt.Sale: "/sale", receipt.Refund: "/moneyBack", receipt.Cancel: "/rollBack", receipt.Prepayment: "/prepaymentProducts",
			receipt.CreditPayment: "/credit", receipt.Correction: "/correction", receipt.Deposit: "/deposit", receipt.Withdrawal: "/withDraw",
		},
		Classes: map[receipt.Kind]register.Class{
			receipt.Sale: register.Key, receipt.Refund: register.Key, receipt.Cancel: register.Key, receipt.Prepayment: register.Key,
			receipt.CreditPayment: register.Key, receipt.Correction: register.Key, receipt.Deposit: register.Key, receipt.Withdrawal: register.Key,
		},
		Bad: 607, NoCopies: true, KeepsPayments: true,
	},
}

func TestMakers(t *testing.T) {
	for _, m := range makers {
		t.Run(m.Name, func(t *testing.T) { t.Parallel(); registertest.Run(t, m) })
	}
}
