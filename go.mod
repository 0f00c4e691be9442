module ekassa

go 1.26.0

require (
	codeberg.org/go-fonts/dejavu v0.4.0 // a free face with Azerbaijani and Russian letters, for slips
	github.com/coreos/go-systemd/v22 v22.7.0 // tells systemd that we are ready and alive, takes the sockets that it opened for us
	github.com/eclipse/paho.mqtt.golang v1.5.1 // MQTT; the customer's choice
	github.com/goccy/go-yaml v1.19.2 // agent.yaml: alive, strict, keeps numbers as text
	github.com/gofrs/flock v0.13.2 // one agent per journal, on every system
	github.com/google/uuid v1.6.0 // a document's key as Caspos wants it
	github.com/grandcat/zeroconf v1.0.0 // mDNS; the customer's choice
	github.com/jackc/pgx/v5 v5.12.0 // PostgreSQL, alive and with arrays
	github.com/kardianos/service v1.3.0 // install, start, stop on Linux and Windows; the customer's choice
	github.com/makiuchi-d/gozxing v0.1.1 // tests: reads QR codes as a phone does
	github.com/mattn/go-sqlite3 v1.14.53 // the journal; the customer's choice
	github.com/miekg/dns v1.1.73 // newer than zeroconf asks for
	github.com/mochi-mqtt/server/v2 v2.7.9 // a broker in the process
	github.com/pb33f/libopenapi v0.41.8 // tests: reads the API document
	github.com/pb33f/libopenapi-validator v0.16.2 // tests: every answer against the API document
	github.com/prometheus/client_golang v1.25.0 // /metrics
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // the settings' schema, one judge on both sides
	github.com/schollz/progressbar/v3 v3.19.1 // the simulated till's progress
	github.com/spf13/cobra v1.10.2 // commands with help and examples
	github.com/yuin/goldmark v1.8.7 // the manual at /docs is written in Markdown; no dependencies of its own
	go.uber.org/goleak v1.3.0 // tests: no goroutine outlives its function
	golang.org/x/crypto v0.58.0 // argon2id for the console's passwords
	golang.org/x/image v0.47.0 // draws letters where no printer has them
	golang.org/x/net v0.62.0 // newer than zeroconf asks for
	golang.org/x/sync v0.24.0 // runs the parts and waits for all
	golang.org/x/sys v0.49.0 // how much room a disk has on Windows; sockets across exec, and their end
	golang.org/x/term v0.47.0 // is there a terminal
	golang.org/x/text v0.43.0 // languages, and names in normal form
	pgregory.net/rapid v1.3.0 // tests: properties
	rsc.io/qr v0.2.0 // the QR on the simulated paper
)

require (
	github.com/chromedp/cdproto v0.159.0 // what the browser tells chromedp
	github.com/chromedp/chromedp v0.23.0 // tests only: the pages in a real Chromium, driven from Go without Node
)

require (
	github.com/bahlo/generic-list-go v0.2.0 // indirect
	github.com/basgys/goxml2json v1.1.1-0.20231018121955-e66ee54ceaad // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/buger/jsonparser v1.6.1 // indirect
	github.com/cenkalti/backoff v2.2.1+incompatible // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/go-openapi/jsonpointer v1.0.2 // indirect
	github.com/gorilla/websocket v1.5.3 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/mitchellh/colorstring v0.0.0-20190213212951-d06e56a500db // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/pb33f/go-yaml v0.1.1 // indirect
	github.com/pb33f/jsonpath v0.8.5 // indirect
	github.com/pb33f/jsonschema/v6 v6.0.3 // indirect
	github.com/pb33f/ordered-map/v2 v2.3.2 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/rivo/uniseg v0.4.7 // indirect
	github.com/rs/xid v1.4.0 // indirect
	github.com/spf13/pflag v1.0.9 // indirect
	golang.org/x/xerrors v0.0.0-20200804184101-5ec99f83aff1 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
)
