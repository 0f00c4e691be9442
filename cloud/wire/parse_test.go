package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ekassa/cloud/wire"
)

// two wraps registers in settings that have the terminals till-1 and till-2.
func two(registers string) string {
	return `{"terminals":[{"id":"till-1"},{"id":"till-2"}],"registers":[` + registers + `]}`
}

func TestParseSettings_Accepts(t *testing.T) {
	for name, in := range map[string]string{
		"nothing at all":          `{}`,
		"empty parts":             `{"module":{},"tax":{},"shift":{},"offline":{},"registers":[],"terminals":[]}`,
		"space around":            " \n{ } \t\n",
		"rate as number":          `{"tax":{"name":"ƏDV","rate":18.00}}`,
		"rate at the bounds":      `{"tax":{"name":"x","rate":"100.00"}}`,
		"no warnings":             `{"shift":{"warn_after":[]}}`,
		"address left empty":      two(`{"id":"a","driver":"caspos","address":""}`),
		"ipv6 address":            two(`{"id":"a","driver":"caspos","address":"[2001:db8::1]:5544"}`),
		"upper case ids":          `{"terminals":[{"id":"TILL"}],"registers":[{"id":"K","driver":"caspos","terminal":"TILL"}]}`,
		"one that stands by":      two(`{"id":"a","driver":"caspos","terminal":"till-1","mode":"offline"}`),
		"two not bound":           two(`{"id":"a","driver":"caspos"},{"id":"b","driver":"caspos"}`),
		"one active of two":       two(`{"id":"a","driver":"caspos","terminal":"till-1"},{"id":"b","driver":"caspos","terminal":"till-1","mode":"offline"}`),
		"two terminals":           two(`{"id":"a","driver":"caspos","terminal":"till-1"},{"id":"b","driver":"caspos","terminal":"till-2"}`),
		"no merchant id: not his": two(`{"id":"a","driver":"omnitech"}`),
		"a login":                 two(`{"id":"a","driver":"omnitech","username":"API","password":"Ə\"x' y"}`),
		"an empty login":          two(`{"id":"a","driver":"caspos","username":"","password":""}`),
		"same ip, other port":     two(`{"id":"a","driver":"caspos","address":"10.0.0.1:5544"},{"id":"b","driver":"caspos","address":"10.0.0.1:5545"}`),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := wire.ParseSettings([]byte(in)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestParseSettings_NamesEveryFaultyField(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		// The whole.
		{"nothing", ``, ` syntax`},
		{"no json", `{"tax":`, ` syntax`},
		{"trailing data", `{} {}`, ` syntax`},
		{"not utf-8", "{\"language\":\"\xff\"}", ` syntax`},
		{"a list", `[]`, ` type`},
		{"null", `null`, ` type`},
		{"bottomless", strings.Repeat(`{"tax":`, 1000) + `1` + strings.Repeat(`}`, 1000), ` syntax`},
		// Keys and types.
		{"unknown", `{"langauge":"az","module":{"on":true}}`, `langauge unknown, module.on unknown`},
		{"other case", `{"Language":"az"}`, `Language unknown`},
		{"odd key", `{"a b":1}`, `["a b"] unknown`},
		{"twice", `{"language":"az","language":"ru"}`, `language duplicate`},
		{"twice, deep", two(`{"id":"a","driver":"caspos","id":"a"}`), `registers[0].id duplicate`},
		{"null parts", `{"tax":null,"registers":null,"language":null}`, `language type, registers type, tax type`},
		{"text for boolean", `{"module":{"enabled":"yes","auto_send":1}}`, `module.auto_send type, module.enabled type`},
		{"text for register", `{"registers":["x",{"id":"a","driver":"caspos"}]}`, `registers[0] type`},
		// Tax.
		{"tax both", `{"tax":{"type":"vat18","name":"ƏDV","rate":"18"}}`, `tax.name conflict, tax.rate conflict`},
		{"tax type and name", `{"tax":{"type":"vat18","name":"ƏDV"}}`, `tax.name conflict`},
		{"tax name alone", `{"tax":{"name":"ƏDV"}}`, `tax.rate missing`},
		{"tax rate alone", `{"tax":{"rate":"18"}}`, `tax.name missing`},
		{"tax type", `{"tax":{"type":"vat20"}}`, `tax.type value`},
		{"rate too fine", `{"tax":{"name":"x","rate":"18.001"}}`, `tax.rate value`},
		{"rate number too fine", `{"tax":{"name":"x","rate":18.001}}`, `tax.rate value`},
		{"rate too high", `{"tax":{"name":"x","rate":"100.01"}}`, `tax.rate value`},
		{"rate below zero", `{"tax":{"name":"x","rate":-1}}`, `tax.rate value`},
		{"rate with exponent", `{"tax":{"name":"x","rate":1e999999999}}`, `tax.rate value`},
		{"rate with comma", `{"tax":{"name":"","rate":"18,00"}}`, `tax.name missing, tax.rate value`},
		// Registers and terminals.
		{"nothing in them", `{"registers":[{}],"terminals":[{}]}`, `registers[0].driver missing, registers[0].id missing, terminals[0].id missing`},
		{"ids", `{"registers":[{"id":"a b","driver":"caspos"}],"terminals":[{"id":"-x"}]}`, `registers[0].id value, terminals[0].id value`},
		{"id too long", two(`{"id":"` + strings.Repeat("a", 64) + `","driver":"caspos"}`), `registers[0].id value`},
		{"same ids", `{"terminals":[{"id":"t"},{"id":"T"}],"registers":[{"id":"a","driver":"caspos"},{"id":"A","driver":"caspos"}]}`, `registers[1].id duplicate, terminals[1].id duplicate`},
		{"driver", two(`{"id":"a","driver":"nba"}`), `registers[0].driver value`},
		{"no such terminal", two(`{"id":"a","driver":"caspos","terminal":"till-9"}`), `registers[0].terminal value`},
		{"terminal in other case", two(`{"id":"a","driver":"caspos","terminal":"Till-1"}`), `registers[0].terminal value`},
		{"mode", two(`{"id":"a","driver":"caspos","terminal":"till-1","mode":"on"},{"id":"b","driver":"caspos","terminal":"till-1"}`), `registers[0].mode value`},
		{"two active", two(`{"id":"a","driver":"caspos","terminal":"till-1"},{"id":"b","driver":"caspos","terminal":"till-1"}`), `registers[0].mode conflict, registers[1].mode conflict`},
		{"none of two active", two(`{"id":"a","driver":"caspos","terminal":"till-1","mode":"offline"},{"id":"b","driver":"caspos","terminal":"till-1","mode":"offline"}`), `registers[0].mode conflict, registers[1].mode conflict`},
		{"same address", two(`{"id":"a","driver":"caspos","address":"10.0.0.1:1"},{"id":"b","driver":"caspos","address":"[::ffff:10.0.0.1]:1"}`), `registers[1].address duplicate`},
		{"same serial", two(`{"id":"a","driver":"caspos","serial":"AB1"},{"id":"b","driver":"caspos","serial":"ab1"}`), `registers[1].serial duplicate`},
		{"serial with space", two(`{"id":"a","driver":"caspos","serial":"AB 1"}`), `registers[0].serial value`},
		{"name with newline", two(`{"id":"a","driver":"caspos","name":"a\nb"}`), `registers[0].name value`},
		{"merchant id left out", two(`{"id":"a","driver":"azsmart"}`), `registers[0].merchant_id missing`},
		{"merchant id empty", two(`{"id":"a","driver":"azsmart","merchant_id":""}`), `registers[0].merchant_id missing`},
		{"merchant id too long", two(`{"id":"a","driver":"azsmart","merchant_id":"` + strings.Repeat("x", 129) + `"}`), `registers[0].merchant_id value`},
		{"merchant id not ascii", two(`{"id":"a","driver":"azsmart","merchant_id":"Ə"}`), `registers[0].merchant_id value`},
		{"merchant id with space", two(`{"id":"a","driver":"azsmart","merchant_id":"x "}`), `registers[0].merchant_id value`},
		{"merchant id masked", two(`{"id":"a","driver":"azsmart","merchant_id":"***"}`), `registers[0].merchant_id value`},
		{"user name with a space", two(`{"id":"a","driver":"omnitech","username":"x "}`), `registers[0].username value`},
		{"user name too long", two(`{"id":"a","driver":"omnitech","username":"` + strings.Repeat("x", 129) + `"}`), `registers[0].username value`},
		{"password with a newline", two(`{"id":"a","driver":"caspos","password":"x\ny"}`), `registers[0].password value`},
		{"password masked", two(`{"id":"a","driver":"caspos","password":"***"}`), `registers[0].password value`},
		{"password a number", two(`{"id":"a","driver":"caspos","password":1}`), `registers[0].password type`},
		{"merchant id a number", two(`{"id":"a","driver":"azsmart","merchant_id":1}`), `registers[0].merchant_id type`},
		// Shift, offline, zone, language.
		{"warnings", `{"shift":{"warn_after":["0h","24h","22","h",""]}}`, `shift.warn_after[0] value, shift.warn_after[1] value, shift.warn_after[2] value, shift.warn_after[3] value, shift.warn_after[4] value`},
		{"warnings descend", `{"shift":{"warn_after":["23h","22h","22h"]}}`, `shift.warn_after[1] conflict, shift.warn_after[2] conflict`},
		{"close", `{"shift":{"auto_close":"always","close_at":"5:00"}}`, `shift.auto_close value, shift.close_at value`},
		{"close at 24:00", `{"shift":{"close_at":"24:00"}}`, `shift.close_at value`},
		{"offline", `{"offline":{"replay":"never","replay_within":"721h"}}`, `offline.replay value, offline.replay_within value`},
		{"replay at once", `{"offline":{"replay_within":"0s"}}`, `offline.replay_within value`},
		{"zone and language", `{"timezone":"Baku","language":"tr"}`, `language value, timezone value`},
		{"the machine's zone", `{"timezone":"Local"}`, `timezone value`},
		{"no zone", `{"timezone":""}`, `timezone value`},
		{"schema and rules at once", `{"language":"tr","registers":[{"id":"a","driver":"caspos","terminal":"x"},7]}`, `language value, registers[0].terminal value, registers[1] type`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := wire.ParseSettings([]byte(tt.in))
			var se *wire.SettingsError
			if !errors.As(err, &se) {
				t.Fatalf("error %v, want a SettingsError", err)
			}
			var got []string
			for _, f := range se.Faults {
				got = append(got, f.Field+" "+f.Code)
				if f.Message == "" || strings.ContainsAny(f.Message, "\n\r") || f.Message[0] >= 'A' && f.Message[0] <= 'Z' {
					t.Errorf("message %q: want one lower-case line", f.Message)
				}
				if strings.Contains(f.Message, "the form that the schema asks for") {
					t.Errorf("%s: the message %q helps nobody", f.Field, f.Message)
				}
			}
			if g := strings.Join(got, ", "); g != tt.want {
				t.Errorf("faults\n  got  %s\n  want %s\n  %v", g, tt.want, err)
			}
		})
	}
}

func TestParseSettings_Address(t *testing.T) {
	const form = "write IP:port, for example 192.168.1.1:8008"
	for in, want := range map[string]string{
		"192.168.1.1":         `"192.168.1.1" has no port; write IP:port, for example 192.168.1.1:8008`,
		"fe80::1":             `"fe80::1" has no port; write IP:port, for example [fe80::1]:8008`,
		"[fe80::1]":           `"[fe80::1]" has no port; write IP:port, for example [fe80::1]:8008`,
		"kassa":               `"kassa" has neither IP nor port; ` + form,
		"kassa.local:8008":    `"kassa.local:8008" has "kassa.local" in place of an IP; ` + form,
		":8008":               `":8008" has "" in place of an IP; ` + form,
		"192.168.1.1:":        `"192.168.1.1:" has no port from 1 to 65535; ` + form,
		"192.168.1.1:0":       `"192.168.1.1:0" has no port from 1 to 65535; ` + form,
		"192.168.1.1:65536":   `"192.168.1.1:65536" has no port from 1 to 65535; ` + form,
		"192.168.1.1:+80":     `"192.168.1.1:+80" has no port from 1 to 65535; ` + form,
		"192.168.1.999:80":    `"192.168.1.999:80" has "192.168.1.999" in place of an IP; ` + form,
		"[192.168.1.1]:80":    `"[192.168.1.1]:80" has "[192.168.1.1]" in place of an IP; ` + form,
		"0.0.0.0:80":          `"0.0.0.0:80" is not the address of one device; ` + form,
		"224.0.0.251:80":      `"224.0.0.251:80" is not the address of one device; ` + form,
		"255.255.255.255:80":  `"255.255.255.255:80" is not the address of one device; ` + form,
		"http://10.0.0.1:80":  `"http://10.0.0.1:80" has "http://10.0.0.1" in place of an IP; ` + form,
		"192.168.1.1:8008 ":   `"192.168.1.1:8008 " has no port from 1 to 65535; ` + form,
		"192.168.1.1:8008/x":  `"192.168.1.1:8008/x" has no port from 1 to 65535; ` + form,
		"192.168.1.01:8008":   `"192.168.1.01:8008" has "192.168.1.01" in place of an IP; ` + form,
		"192.168.1.1:8008:80": `"192.168.1.1:8008:80" has "192.168.1.1:8008" in place of an IP; ` + form,
	} {
		_, err := wire.ParseSettings([]byte(two(`{"id":"a","driver":"caspos","address":` + string(mustJSON(t, in)) + `}`)))
		if want := "settings refused: registers[0].address: " + want; err == nil || err.Error() != want {
			t.Errorf("%s\n  got  %v\n  want %s", in, err, want)
		}
	}
}

func TestParseSettings_Golden(t *testing.T) {
	files, err := filepath.Glob("testdata/v1/settings*.json")
	if err != nil || len(files) < 2 {
		t.Fatalf("golden files: %v, %v", files, err)
	}
	for _, file := range files {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := wire.ParseSettings(want)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		got, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(append(got, '\n'), want) {
			t.Errorf("%s: written again it is\n%s", file, got)
		}
	}
}

func FuzzParseSettings(f *testing.F) {
	files, _ := filepath.Glob("testdata/v1/settings*.json")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"registers":["x",{"id":7}],"shift":{"warn_after":["1h",2]},"tax":{"rate":1e9}}`))
	f.Add([]byte(`{"tax":{"name":"x","rate":18.5},"a b":[[[]]]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := wire.ParseSettings(data)
		if err != nil {
			var se *wire.SettingsError
			if !errors.As(err, &se) || len(se.Faults) == 0 || strings.Contains(err.Error(), "\n") {
				t.Fatalf("refused with %T %v", err, err)
			}
			return
		}
		again, err := wire.ParseSettings(mustJSON(t, s))
		if err != nil {
			t.Fatalf("accepted once, then not: %v", err)
		}
		if !s.Equal(again) {
			t.Fatalf("came back changed:\n%+v\n%+v", s, again)
		}
	})
}

func mustJSON(tb testing.TB, v any) []byte {
	tb.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}
