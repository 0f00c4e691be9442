package uplink

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/cloud/wire"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.FixedZone("", 4*60*60))

// samples are one record of each kind, as the journal gives them.
func samples(t *testing.T) map[string]register.Record {
	t.Helper()
	const text = `{"id":"till1-000123","kind":"sale","time":"2026-11-23T19:05:12+04:00","cashier":"Aysel M.","items":[{"name":"Plov","quantity":"1.5","price":"8.00","tax":"vat18"}],"payments":{"cash":"20.00"}}`
	x, _, err := receipt.Decode([]byte(text), receipt.Defaults{Fiscal: true, Tax: receipt.Tax{Type: receipt.VAT18}})
	if err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	waiting := receipt.Stored{Receipt: x, Seq: 7, Terminal: "till-1", Register: "kassa-1", State: receipt.Waiting, ReceivedAt: noon}
	fiscal := waiting
	fiscal.State, fiscal.Attempts = receipt.Fiscal, 1
	fiscal.Document = &receipt.Document{
		FiscalID: "A1b2C3d4E5f6A1b2C3d4E5f6", ShortID: "A1b2C3d4E5f6", Number: "20", RegisterSerial: "AZ-1", Shift: "7",
		URL: "https://monitoring.e-kassa.gov.az/#/index?doc=A1b2C3d4E5f6", Printed: true, At: noon,
	}
	balance := register.Weigh(register.Report{Sales: register.Sum{Count: 2, Sum: x.Total(), Cash: x.Total()}}, []receipt.Stored{fiscal}, nil, []string{"till1-000122"})
	ours := balance.Journal
	ours.Shift, ours.OpenedAt, ours.Cash = "7", noon.Add(-8*time.Hour), new(receipt.Money)
	balance.Journal = ours
	z := ours
	z.Number, z.Raw = "412", []byte(`{"data":{}}`)
	z.Sales.Count = 2
	z.Balance = &balance
	list := map[string]register.Record{
		"receipt-first":  {Type: register.RecordReceipt, Receipt: &waiting, Content: content},
		"receipt-fiscal": {Type: register.RecordReceipt, Receipt: &fiscal},
		"shift-opened":   {Type: register.RecordShiftOpened, About: "kassa-1", Code: "7", Detail: "auto", OpenedAt: noon},
		"shift-closed":   {Type: register.RecordShiftClosed, Report: &register.Reported{Register: "kassa-1", Kind: "z", By: "Leyla", At: noon, Report: z}},
		"x-report":       {Type: register.RecordXReport, Report: &register.Reported{Register: "kassa-1", Kind: "x", At: noon, Report: ours}},
		"alert":          {Type: register.RecordAlert, About: "kassa-1", Code: register.AlertShiftOld, Detail: "22h0m0s"},
		"quarantined":    {Type: register.RecordReceipt, Apart: "3 connections ended at once when it was sent"},
		"health":         {Type: register.RecordHealth, Content: []byte(`{"registers":[],"waiting":1,"oldest_seconds":60,"disk_free_bytes":1000000000,"records_unacknowledged":3,"temperature_celsius":48.3,"under_voltage":false,"clock_synced":true,"certificate_days":89}`)},
	}
	n := int64(0)
	for _, name := range []string{"receipt-first", "receipt-fiscal", "shift-opened", "shift-closed", "x-report", "alert", "quarantined", "health"} {
		r := list[name]
		n++
		r.Epoch, r.Seq, r.At = 1795491880, n, noon
		list[name] = r
	}
	return list
}

// The golden messages are the contract's: what was told once is told the same
// by every later version, for the cloud takes other content for a clone.
func TestEncode_WritesTheGoldenMessages(t *testing.T) {
	for name, r := range samples(t) {
		got, err := encode(agentID, r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		golden, err := os.ReadFile(filepath.Join("..", "..", "cloud", "wire", "testdata", "v1", "record-"+name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := json.Compact(&want, golden); err != nil {
			t.Fatal(err)
		}
		if want.String() != string(got) {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, &want)
		}
	}
}

func TestEncode_IsTheSameInEveryZone(t *testing.T) {
	for name, r := range samples(t) {
		one, err := encode(agentID, r)
		if err != nil {
			t.Fatal(err)
		}
		r.At = r.At.In(time.UTC)
		r.OpenedAt = r.OpenedAt.In(time.FixedZone("", 3600))
		if r.Receipt != nil {
			s := *r.Receipt
			s.ReceivedAt = s.ReceivedAt.In(time.UTC)
			r.Receipt = &s
		}
		if two, err := encode(agentID, r); err != nil || string(one) != string(two) {
			t.Errorf("%s: %v\n%s\n%s", name, err, one, two)
		}
	}
}

func TestEncode_FitsOrSaysWhyNot(t *testing.T) {
	list := samples(t)
	long := list["receipt-first"]
	long.Content = []byte(`{"id":"` + strings.Repeat("x", wire.MaxMessage) + `"}`)
	data, err := encode(agentID, long)
	if err != nil || len(data) > wire.MaxMessage || !strings.Contains(string(data), `"detail":"its content is left out`) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	report := list["shift-closed"]
	r := *report.Report
	r.Report.Raw = make([]byte, wire.MaxMessage)
	report.Report = &r
	if data, err := encode(agentID, report); err != nil || len(data) > wire.MaxMessage || !strings.Contains(string(data), `"number":"412"`) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	alert := list["alert"]
	alert.Detail = strings.Repeat("x", wire.MaxMessage)
	if _, err := encode(agentID, alert); err == nil {
		t.Error("an alert that no broker takes")
	}
	alert.Apart = err0(encode(agentID, alert))
	if data, err := encode(agentID, alert); err != nil || len(data) > 1000 {
		t.Errorf("what stands in for it does not fit: %d bytes, %v", len(data), err)
	}
}

func err0(_ []byte, err error) string { return err.Error() }
