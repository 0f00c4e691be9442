package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ekassa/cloud/config"
)

func TestParse_Defaults(t *testing.T) {
	c, err := config.Parse([]byte("data_dir: data\n"), "/etc/ekassa")
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != config.DefaultListen || c.DataDir != "/etc/ekassa/data" || c.Database != "sqlite" ||
		c.Broker.Embedded != config.DefaultBroker || !c.Broker.Plain || c.Broker.Public != "mqtt://127.0.0.1:1883" ||
		c.Keep.Records != 90*24*time.Hour || c.Keep.Receipts != 0 || len(c.Warnings) != 0 {
		t.Errorf("%+v", c)
	}
}

func TestParse_Brokers(t *testing.T) {
	for text, want := range map[string]config.Broker{
		`{embedded: "0.0.0.0:8883", public: "mqtts://mqtt.example.com"}`: {Embedded: "0.0.0.0:8883", Public: "mqtts://mqtt.example.com:8883"},
		`{embedded: "10.1.2.3:8883"}`:                                    {Embedded: "10.1.2.3:8883", Public: "mqtts://10.1.2.3:8883"},
		`{embedded: "127.0.0.1:1883"}`:                                   {Embedded: "127.0.0.1:1883", Plain: true, Public: "mqtt://127.0.0.1:1883"},
		`{embedded: "127.0.0.1:8883", public: "mqtts://127.0.0.1:8883"}`: {Embedded: "127.0.0.1:8883", Public: "mqtts://127.0.0.1:8883"},
		`{url: "mqtts://b.example.com", ca: ca.pem, cert: c.pem, key: k.pem, shared: true}`: {
			URL: "mqtts://b.example.com:8883", Public: "mqtts://b.example.com:8883", CA: "/d/ca.pem", Pair: config.Pair{Cert: "/d/c.pem", Key: "/d/k.pem"}, Shared: true},
	} {
		c, err := config.Parse([]byte("broker: "+text), "/d")
		if err != nil || c.Broker != want {
			t.Errorf("%s: %+v, %v", text, c.Broker, err)
		}
	}
}

func TestParse_NamesWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "empty",
		"# nothing":                            "empty",
		"lisen: 127.0.0.1:1":                   `unknown field "lisen"`,
		"broker: {embeded: \"1.2.3.4:1\"}":     `unknown field "embeded"`,
		"listen: localhost":                    "listen",
		"listen: \"1.2.3.4:1\"\nlisten: \"\"":  "listen",
		"database: mysql://u:geheim@h/d":       "database",
		"broker: {}":                           "either embedded or url",
		"broker: {embedded: \"0.0.0.0:8883\"}": "public",
		"broker: {embedded: \"10.0.0.1:1\", public: \"mqtt://x\"}":    "mqtts only",
		"broker: {url: \"mqtts://u:geheim@h\"}":                       "user name or password",
		"broker: {url: \"https://h\"}":                                "url",
		"broker: {url: \"mqtts://h\", cert: x}":                       "both cert and key",
		"broker: {url: \"mqtts://h\", username: x}":                   "password_file",
		"broker: {url: \"mqtts://h\", username: x, password_file: x}": "password_file",
		"broker: {embedded: \"127.0.0.1:1\", shared: true}":           "embedded one has its own",
		"tls: {cert: x}":                "both cert and key",
		"keep: {acts: -1}":              "keep.acts",
		"keep: {acts: true}":            "line 1",
		"a: [b":                         "line 1",
		"data_dir: a\n---\ndata_dir: b": "more than one",
	} {
		_, err := config.Parse([]byte(text), t.TempDir())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestLoad_ReadsThePasswordAndNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "cloud.yaml")
	if _, err := config.Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
	for name, text := range map[string]string{"cloud.yaml": "broker: {url: \"mqtt://10.0.0.1\", username: cloud, password_file: secret}\nlisten: 0.0.0.0:80", "secret": "geheim\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(path)
	if err != nil || c.Broker.Password != "geheim" || c.Broker.Username != "cloud" || len(c.Warnings) != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	if s := c.LogValue().String() + c.Broker.LogValue().String(); strings.Contains(s, "geheim") {
		t.Error("the log has the password")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("listen: 127.0.0.1:1\nbroker: {embedded: 127.0.0.1:1883}\nkeep: {records: 9}"))
	f.Add([]byte("broker: {url: \"mqtts://h\", cert: a, key: b}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse(data, "/d")
		if err == nil && (c.Listen == "" || c.Database == "" || (c.Broker.Embedded == "") == (c.Broker.URL == "") || c.Broker.Public == "") {
			t.Errorf("%+v", c)
		}
	})
}
