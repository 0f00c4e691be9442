package simulator

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func (c *till) control(method, path, body string, want int) string {
	c.t.Helper()
	req, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		c.t.Fatalf("%s %s: HTTP %d, want %d, %v: %s", method, path, resp.StatusCode, want, err, got)
	}
	return string(got)
}

func TestControl_DoesByHandWhatAPersonDoes(t *testing.T) {
	s, c := start(t)
	if got := c.control("POST", "/sim/sale", "", 409); !strings.Contains(got, `"reason":"shift_closed"`) {
		t.Error(got)
	}
	c.control("POST", "/sim/shift/open", `{"cashier":"Əli"}`, 200)
	c.control("POST", "/sim/shift/open", ``, 409)
	c.control("POST", "/sim/sale", `{"amount":250,"name":"Çay"}`, 200)
	c.control("POST", "/sim/sale", `{"amount":-1}`, 409)
	c.ok("/sale", keyed("a"))
	var docs []Document
	if err := json.Unmarshal([]byte(c.control("GET", "/sim/ledger?shift=1", "", 200)), &docs); err != nil {
		t.Fatal(err)
	}
	if len(docs) != 2 || !docs[0].ByHand || docs[0].Client.Key != "" || docs[1].ByHand || docs[1].Client.Key != "a" {
		t.Errorf("%+v", docs)
	}
	if got := c.control("GET", "/sim/ledger?shift=2", "", 200); strings.TrimSpace(got) != "[]" {
		t.Error(got)
	}
	c.control("GET", "/sim/ledger?shift=x", "", 400)
	if got := c.control("GET", "/sim/paper/"+docs[0].ShortID, "", 200); !strings.Contains(got, "Çay") {
		t.Error(got)
	}
	c.control("GET", "/sim/paper/unknown", "", 404)
	c.control("POST", "/sim/clock", `{"offset":"25h"}`, 200)
	c.code("/sale", keyed("b"), 22)
	c.control("POST", "/sim/clock", `{"offset":"tomorrow"}`, 400)
	c.control("POST", "/sim/clock", `{"ofset":"1h"}`, 400)
	c.control("POST", "/sim/shift/close", `{"printing":1}`, 400)
	if got := c.control("POST", "/sim/shift/close", `{"printing_ms":60000}`, 200); !strings.Contains(got, `"number": 3`) {
		t.Error(got)
	}
	if got := c.control("GET", "/sim/shifts", ``, 200); !strings.Contains(got, `"drawer": 1100`) {
		t.Error(got)
	}
	if got := c.control("GET", "/sim/paper", "", 200); !strings.Contains(got, "Z-HESABAT") {
		t.Error(got)
	}
	if got := c.control("POST", "/sim/shift/open", ``, 409); !strings.Contains(got, "still being printed") {
		t.Error(got)
	}
	c.control("POST", "/sim/serial", `{"serial":"B"}`, 200)
	c.control("POST", "/sim/serial", `{}`, 400)
	if s.Serial() != "B" {
		t.Error(s.Serial())
	}
	c.control("PUT", "/sim/state", "", 405)
	c.control("GET", "/sim/nothing", "", 404)
}

func TestControl_ArmsAndClearsFaults(t *testing.T) {
	_, c := open(t)
	c.control("POST", "/sim/faults", `[{"fault":"no-such"}]`, 400)
	c.control("POST", "/sim/faults", `[{"fault":"slow","for":5}]`, 400)
	c.control("POST", "/sim/faults", `[{"fault":"paper-out"},{"fault":"refuse","route":"/sale","code":5,"after":1}]`, 200)
	if got := c.control("GET", "/sim/state", "", 200); !strings.Contains(got, `"paper": "out"`) || !strings.Contains(got, `"after": 1`) {
		t.Error(got)
	}
	c.code("/sale", keyed("a"), 15)
	c.code("/sale", keyed("b"), 5)
	c.control("POST", "/sim/paper-in", "", 200)
	c.code("/sale", keyed("b"), 5)
	c.control("DELETE", "/sim/faults", "", 200)
	c.ok("/sale", keyed("b"))
	// An outage is answered before it begins.
	if got := c.control("POST", "/sim/faults", `[{"fault":"unreachable","ms":5}]`, 200); !strings.Contains(got, "serial") {
		t.Error(got)
	}
}

func TestPaper_LooksLikeACheque(t *testing.T) {
	s, c := open(t, func(cfg *Config) { cfg.Clock = testClock })
	c.ok("/sale", with(keyed("a"), "wsName", "Kassa 1", "printFooter", "Sağ olun!",
		"items", []object{with(line("7", 1250, 850), "itemName", "Plov", "itemUnit", "kq", "discount", 50)}))
	d := s.Ledger()[0]
	got := s.Paper()
	for _, want := range []string{"VÖEN: 1234567891", "Nümunə restoranı", "SATIŞ ÇEKİ", "Çek № 1", "Kassir: Əli", "23.11.2026", "19:05:12",
		"Plov", "1.25 kq × 7.20", "Endirim", "-0.50", "8.50 AZN", "ƏDV 18% (8.50)", "1.30", "Nağd", "10.00", "1.50", "NKA-nın modeli",
		d.Serial, d.ShortID, "█▀▀▀▀▀█", "Sağ olun!"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for i, l := range strings.Split(got, "\n") {
		if width(l) > paperWidth {
			t.Errorf("line %d is wider than the paper: %q", i+1, l)
		}
	}
	if money(-5) != "-0.05" || quantity(1000) != "1" || quantity(1) != "0.001" || percent(1800) != "18%" || percent(250) != "2.5%" {
		t.Error(fmt.Sprint(money(-5), quantity(1000), quantity(1), percent(1800), percent(250)))
	}
}
