package e2e

import (
	"net/http"
	"testing"

	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
)

// Broker, cloud, database and agent are killed in turn, twice, while a till sells:
// what the cloud has in the end is the register's ledger, each document once, and
// the closed shift's totals are those of the ledger.
func TestKill_BrokerCloudDatabaseAndAgentInTurn(t *testing.T) {
	t.Parallel()
	const name, sales = "baku-01-a", 160
	kassa := newDevice(t, simulator.New)
	s := newShop(t, at(kassa.listen))
	cloud := newCloudInUse(t)
	cloud.enroll(s, name)
	program := s.run()
	eventually(t, "the agent is online", func() bool {
		var a struct{ Online bool }
		cloud.ask("GET", "/agents/"+name, "", &a)
		return a.Online
	})
	receipts, till := week(t)[:sales], s.till()
	turns := []func(){
		func() { cloud.mosquitto.kill(); cloud.broke() },
		func() { cloud.process.kill(); cloud.run() },
		func() { cloud.database.Kill(); cloud.database.Start() },
		func() { program.kill(); program = s.run() },
	}
	for n, r := range receipts {
		post(t, till, r.body)
		if every := sales / (2 * len(turns)); n%every == every/2 {
			turns[n/every%len(turns)]()
		}
	}
	for _, r := range receipts {
		s.reaches(r.id, receipt.Fiscal)
	}
	cloud.has(name, kassa.ledger())

	var closed totals
	till.Post("/v1/shift/close", "").Want(http.StatusOK).JSON(&closed)
	if truth := added(kassa.ledger()); closed != truth {
		t.Errorf("the report is %+v, and the ledger %+v", closed, truth)
	}
	eventually(t, "the cloud has the closed shift", func() bool { return len(cloud.closed(name)) > 0 })
	got := cloud.closed(name)
	want := closed.plain()
	want.Cancels = totals{}.Cancels // the API has no group for them
	if len(got) != 1 || got[0].plain() != want {
		t.Errorf("the cloud has %+v, and the report is %+v", got, want)
	}
	var alerts struct{ Items []struct{ Code string } }
	cloud.ask("GET", "/alerts", "", &alerts)
	for _, a := range alerts.Items {
		if a.Code == "cloned_card" {
			t.Error("a card is taken for a copy")
		}
	}
}
