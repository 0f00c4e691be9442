package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"ekassa/cloud/wire"
)

// TestDefaults_AreTheSchemas builds settings from the defaults that the schema
// states and compares them with those of the code.
func TestDefaults_AreTheSchemas(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(wire.SettingsSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	stated, err := wire.ParseSettings(mustJSON(t, defaultsOf(schema)))
	if err != nil {
		t.Fatal(err)
	}
	empty, err := wire.ParseSettings([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if d := wire.DefaultSettings(); !reflect.DeepEqual(stated, d) || !reflect.DeepEqual(empty, d) {
		t.Errorf("in the schema %+v\nof nothing    %+v\nin the code   %+v", stated, empty, d)
	}
	if got, want := string(mustJSON(t, defaultsOf(schema))), string(mustJSON(t, wire.DefaultSettings())); !sameJSON(t, got, want) {
		t.Errorf("not every default is stated in the schema:\n%s\n%s", got, want)
	}
}

func TestDefaults_OfARegister(t *testing.T) {
	s, err := wire.ParseSettings([]byte(`{"registers":[{"id":"a","driver":"caspos"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := (wire.Register{ID: "a", Driver: "caspos", Mode: "active"}); s.Registers[0] != want {
		t.Errorf("got %+v, want %+v", s.Registers[0], want)
	}
}

// defaultsOf returns the default of a schema, or that of its properties.
func defaultsOf(schema map[string]any) any {
	if d, ok := schema["default"]; ok {
		return d
	}
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return nil
	}
	object := map[string]any{}
	for key, property := range properties {
		if d := defaultsOf(property.(map[string]any)); d != nil {
			object[key] = d
		}
	}
	return object
}

// TestSchema_IsStrictAndExplained holds every object closed and every setting
// described.
func TestSchema_IsStrictAndExplained(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(wire.SettingsSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	checkNode(t, "settings", schema)
}

func checkNode(t *testing.T, path string, node map[string]any) {
	t.Helper()
	if node["title"] == nil || node["description"] == nil {
		t.Errorf("%s: has no title or description", path)
	}
	if types := fmt.Sprint(node["type"]); types == "number" || types == "integer" {
		t.Errorf("%s: takes numbers only; agent.yaml hands every number over as text", path)
	}
	if node["type"] == "object" && node["additionalProperties"] != false {
		t.Errorf("%s: takes unknown keys", path)
	}
	if items, ok := node["items"].(map[string]any); ok {
		checkNode(t, path+"[]", items)
	}
	properties, _ := node["properties"].(map[string]any)
	for key, property := range properties {
		checkNode(t, path+"."+key, property.(map[string]any))
	}
}

func TestSecret_IsNeverShown(t *testing.T) {
	const secret = "S3CR3T-VALUE"
	s := wire.DefaultSettings()
	s.Registers = []wire.Register{{ID: "a", Driver: "azsmart", MerchantID: secret, Username: secret, Password: secret, Mode: "active"}}
	hidden := []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), fmt.Sprint([]byte(secret))}
	check := func(how, text string) {
		t.Helper()
		for _, h := range hidden {
			if strings.Contains(text, h) {
				t.Errorf("%s shows the secret: %s", how, text)
			}
		}
	}
	for _, v := range []any{s, &s, s.Registers, s.Registers[0], &s.Registers[0], s.Registers[0].MerchantID, s.Registers[0].Username, s.Registers[0].Password, s.Masked()} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%20s", "%.3s"} {
			check(verb, fmt.Sprintf(verb, v))
		}
		check("error", fmt.Errorf("refused %v", v).Error())
	}
	for _, v := range []any{s, &s, s.Registers[0], s.Registers[0].MerchantID} {
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v, slog.Group("g", "v", v))
		check("slog", out.String())
		if !strings.Contains(out.String(), "***") {
			t.Errorf("slog shows no mask: %s", out.String())
		}
	}
	check("masked json", string(mustJSON(t, s.Masked())))
	if r := s.Registers[0]; r.MerchantID.Reveal() != secret || r.Username.Reveal() != secret || r.Password.Reveal() != secret {
		t.Error("masking a copy changed the original")
	}
	if !strings.Contains(string(mustJSON(t, s)), secret) {
		t.Error("json has lost the secret")
	}

	// Whatever else is wrong beside it or with it, an error never has it.
	for _, in := range []string{
		`{"registers":[{"id":"a","driver":"azsmart","merchant_id":" ` + secret + `"}]}`,
		`{"registers":[{"id":"a","driver":"azsmart","merchant_id":"Ə` + secret + `"}]}`,
		`{"registers":[{"id":"a","driver":"azsmart","merchant_id":"` + strings.Repeat(secret, 20) + `"}]}`,
		`{"registers":[{"id":"a","driver":"azsmart","merchant_id":["` + secret + `"]}]}`,
		`{"registers":[{"id":"a","driver":"azsmart","merchantid":"` + secret + `"}]}`,
		`{"registers":[{"id":"a","driver":"azsmart","merchant_id":"` + secret + `","merchant_id":"` + secret + `"}]}`,
		`{"registers":[{"id":"a","driver":"azsmart","merchant_id":"` + secret + `" "x"}]}`,
		`{"registers":{"merchant_id":"` + secret + `"}}`,
		`{"registers":[{"id":"a","driver":"omnitech","username":" ` + secret + `"}]}`,
		`{"registers":[{"id":"a","driver":"omnitech","password":"` + secret + `\n"}]}`,
		`{"registers":[{"id":"a","driver":"caspos","password":"` + strings.Repeat(secret, 20) + `"}]}`,
		`{"registers":[{"id":"a","driver":"caspos","password":["` + secret + `"]}]}`,
	} {
		_, err := wire.ParseSettings([]byte(in))
		if err == nil {
			t.Errorf("accepted %s", in)
			continue
		}
		check("error", fmt.Sprintf("%v %+v %#v", err, err, err))
	}
}

func TestActiveRegister(t *testing.T) {
	s := wire.DefaultSettings()
	s.Registers = []wire.Register{
		{ID: "a", Terminal: "till-1", Mode: wire.ModeOffline},
		{ID: "b", Terminal: "till-1", Mode: wire.ModeActive},
		{ID: "c", Mode: wire.ModeActive},
		{ID: "d", Terminal: "till-2", Mode: wire.ModeOffline},
	}
	for terminal, want := range map[string]string{"till-1": "b", "till-2": "", "till-3": "", "": ""} {
		if r, ok := s.ActiveRegister(terminal); r.ID != want || ok != (want != "") {
			t.Errorf("%q: got %q %v, want %q", terminal, r.ID, ok, want)
		}
	}
}

func TestTax_Percent(t *testing.T) {
	for _, tt := range []struct {
		tax  wire.Tax
		want wire.Rate
		ok   bool
	}{
		{wire.Tax{Type: wire.TaxVAT18}, "18.00", true},
		{wire.Tax{Type: wire.TaxVAT0}, "0.00", true},
		{wire.Tax{Type: wire.TaxExempt}, "", false},
		{wire.Tax{Type: wire.TaxSimplified8}, "8.00", true},
		{wire.Tax{Name: "ƏDV", Rate: "18.50"}, "18.50", true},
		{wire.Tax{}, "", false},
	} {
		if got, ok := tt.tax.Percent(); got != tt.want || ok != tt.ok {
			t.Errorf("%+v: got %q %v", tt.tax, got, ok)
		}
	}
}

func TestParseRate(t *testing.T) {
	for in, want := range map[string]string{
		"18": "18.00", "18.0": "18.00", "18.50": "18.50", "0": "0.00", "000": "0.00", "018": "18.00", "0.05": "0.05", "100": "100.00",
		"": "", "-1": "", "+1": "", "1e1": "", "18.": "", ".5": "", "18.505": "", "100.01": "", "999": "", "1 8": "", "١٨": "",
	} {
		got, err := wire.ParseRate(in)
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
	}
	if n := wire.Rate("18.05").Hundredths(); n != 1805 {
		t.Errorf("18.05 has %d hundredths", n)
	}
}

func TestDuration_WireForm(t *testing.T) {
	for d, want := range map[time.Duration]string{
		22 * time.Hour: "22h", 90 * time.Minute: "1h30m", time.Minute: "1m", 10 * time.Second: "10s", 0: "0s",
		10 * time.Minute: "10m", time.Hour + time.Second: "1h0m1s", 720 * time.Hour: "720h", 20*time.Minute + 10*time.Second: "20m10s",
	} {
		if got := wire.Duration(d).String(); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
		var back wire.Duration
		if err := back.UnmarshalText([]byte(want)); err != nil || time.Duration(back) != d {
			t.Errorf("%s: came back as %v, %v", want, back, err)
		}
	}
}

func TestEqual(t *testing.T) {
	base := wire.DefaultSettings()
	if !base.Equal(wire.DefaultSettings()) {
		t.Fatal("defaults are not equal to themselves")
	}
	for name, change := range map[string]func(*wire.Settings){
		"module":   func(s *wire.Settings) { s.Module.AutoSend = false },
		"tax":      func(s *wire.Settings) { s.Tax.Type = wire.TaxExempt },
		"register": func(s *wire.Settings) { s.Registers = []wire.Register{{Address: netip.AddrPort{}}} },
		"terminal": func(s *wire.Settings) { s.Terminals = []wire.Terminal{{ID: "t"}} },
		"open":     func(s *wire.Settings) { s.Shift.AutoOpen = false },
		"warnings": func(s *wire.Settings) { s.Shift.WarnAfter = nil },
		"close":    func(s *wire.Settings) { s.Shift.AutoClose = wire.AutoCloseAt },
		"close at": func(s *wire.Settings) { s.Shift.CloseAt.Minute = 1 },
		"offline":  func(s *wire.Settings) { s.Offline.ReplayWithin++ },
		"zone":     func(s *wire.Settings) { s.Timezone = "UTC" },
		"language": func(s *wire.Settings) { s.Language = "en" },
	} {
		s := wire.DefaultSettings()
		change(&s)
		if s.Equal(base) || base.Equal(s) {
			t.Errorf("a change of %s is not seen", name)
		}
	}
}

func TestValidate(t *testing.T) {
	if err := wire.DefaultSettings().Validate(); err != nil {
		t.Error(err)
	}
	if err := (wire.Settings{}).Validate(); err == nil {
		t.Error("the zero value passes")
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal([]byte(a), &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(b), &y); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}
