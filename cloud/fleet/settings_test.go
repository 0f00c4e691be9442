package fleet_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

const settings = `{"registers":[
	{"id":"kassa-1","driver":"azsmart","address":"10.0.0.1:8008","merchant_id":"%s","terminal":"till-1"},
	{"id":"kassa-2","driver":"%s","password":"%s","name":"%s"}],
	"tax":{"name":"ƏDV","rate":18.00},"terminals":[{"id":"till-1"}]}`

func parse(t *testing.T, text string) wire.Settings {
	t.Helper()
	s, err := wire.ParseSettings([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSettings_MaskedSecretsStay(t *testing.T) {
	before := parse(t, fmt.Sprintf(settings, "M-0001", "omnitech", "4711", "Hall"))

	s, err := fleet.ParseSettings(fmt.Appendf(nil, settings, "***", "omnitech", "***", "***"), before)
	if err != nil {
		t.Fatal(err)
	}
	if s.Registers[0].MerchantID.Reveal() != "M-0001" || s.Registers[1].Password.Reveal() != "4711" || s.Registers[1].Name != "***" || s.Tax.Rate != "18.00" {
		t.Errorf("%+v", s)
	}
	s, err = fleet.ParseSettings(fmt.Appendf(nil, settings, "M-0002", "omnitech", "", ""), before)
	if err != nil || s.Registers[0].MerchantID.Reveal() != "M-0002" || s.Registers[1].Password.Reveal() != "" {
		t.Errorf("%+v, %v", s, err)
	}

	for name, c := range map[string]struct{ text, want string }{
		"another driver":       {fmt.Sprintf(settings, "***", "caspos", "***", ""), "registers[1].password: is masked"},
		"another register":     {strings.ReplaceAll(fmt.Sprintf(settings, "***", "omnitech", "x", ""), "kassa-1", "kassa-9"), "registers[0].merchant_id: is masked"},
		"none before":          {strings.Replace(fmt.Sprintf(settings, "***", "omnitech", "x", ""), `"name"`, `"username":"***","name"`, 1), "registers[1].username: is masked"},
		"another fault beside": {strings.Replace(fmt.Sprintf(settings, "***", "omnitech", "***", ""), "8008", "0", 1), "registers[0].address"},
		"written twice":        {strings.Replace(fmt.Sprintf(settings, "***", "omnitech", "***", ""), `"merchant_id":"***"`, `"merchant_id":"***","merchant_id":"***"`, 1), "written twice"},
	} {
		_, err := fleet.ParseSettings([]byte(c.text), before)
		var refused *wire.SettingsError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "M-0001") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestDiff_NamesWhatChangedAndNoSecret(t *testing.T) {
	before := parse(t, fmt.Sprintf(settings, "M-0001", "omnitech", "4711", "Hall"))
	after := parse(t, `{"registers":[
		{"id":"kassa-2","driver":"omnitech","password":"4712","name":"Hall"},
		{"id":"kassa-1","driver":"azsmart","address":"10.0.0.2:8008","merchant_id":"M-0001"}],
		"shift":{"warn_after":["20h"]},"terminals":[{"id":"till-1"}]}`)
	got := fmt.Sprint(fleet.Diff(before, after))
	want := "[{registers[kassa-1].address 10.0.0.1:8008 10.0.0.2:8008} {registers[kassa-1].terminal till-1 } " +
		"{registers[kassa-2].password *** ***} {shift.warn_after 22h, 23h 20h} {tax.name ƏDV } {tax.rate 18.00 } {tax.type  vat18}]"
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if len(fleet.Diff(before, before)) != 0 {
		t.Error("equal settings differ")
	}
}

func TestPassword_OnlyItselfFits(t *testing.T) {
	p := fleet.NewPassword()
	hash := fleet.HashPassword(p)
	if !fleet.CheckPassword(hash, p) {
		t.Errorf("%s does not fit %s", p, hash)
	}
	if fleet.CheckPassword(hash, p+" ") || fleet.CheckPassword(hash, "") || fleet.HashPassword(p) == hash {
		t.Error("another password fits, or the salt is the same twice")
	}
	for _, broken := range []string{"", "$", hash[1:], strings.Replace(hash, "m=19456", "m=1", 1), strings.Replace(hash, "$v=19", "$v=16", 1), hash + "$", p} {
		if fleet.CheckPassword(broken, p) {
			t.Errorf("%q fits", broken)
		}
	}
	if one, two := fleet.NewToken(""), fleet.NewToken(""); len(one) != 43 || one == two || fleet.CheckPassword(fleet.Nobody, "") {
		t.Error("tokens are not 256 random bits")
	}
}
