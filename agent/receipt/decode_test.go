package receipt_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ekassa/agent/receipt"
)

// The example of contract.md 3.
const example = `{"id":"till1-000123","kind":"sale","time":"2026-11-23T19:05:12+04:00","cashier":"Aysel M.","number":"123",
 "items":[{"name":"Plov","code":"1001","unit":"piece","quantity":"1.5","price":"8.00","discount":"0.00","tax":"vat18"}],
 "payments":{"cash":"20.00","card":"0.00","bonus":"0.00","prepaid":"0.00","credit":"0.00"},
 "fiscal":true,"note":"table 7"}`

func TestDecode_ReadsTheContractsExample(t *testing.T) {
	r, _, err := receipt.Decode([]byte(example), receipt.Defaults{Tax: receipt.Tax{Type: receipt.Exempt}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Total() != 12_00 || r.Change() != 8_00 || r.Payments.NetCash(r.Total()) != 12_00 {
		t.Errorf("total %v, change %v", r.Total(), r.Change())
	}
	at := time.Date(2026, 11, 23, 15, 5, 12, 0, time.UTC)
	if r.ID != "till1-000123" || r.Kind != receipt.Sale || !r.Time.Equal(at) || r.Cashier != "Aysel M." || r.Number != "123" ||
		!r.Fiscal || r.Note != "table 7" || len(r.Items) != 1 || r.Parent != nil || r.Period != nil {
		t.Errorf("%+v", r)
	}
	want := receipt.Item{Name: "Plov", Code: "1001", Unit: receipt.Piece, Quantity: 1500, Price: 800, Tax: receipt.Tax{Type: receipt.VAT18}}
	if r.Items[0] != want {
		t.Errorf("%+v", r.Items[0])
	}
}

func TestDecode_FillsInWhatIsLeftOut(t *testing.T) {
	body := `{"id":"a","kind":"sale","time":"2026-11-23T19:05:12Z","items":[{"name":"x","quantity":1,"price":2.5}],"payments":{"card":2.50}}`
	r, _, err := receipt.Decode([]byte(body), receipt.Defaults{Fiscal: true, Tax: receipt.Tax{Name: "Rüsum", Rate: 400}})
	if err != nil || !r.Fiscal || r.Items[0].Unit != receipt.Piece || r.Items[0].Tax != (receipt.Tax{Name: "Rüsum", Rate: 400}) {
		t.Errorf("%+v, %v", r, err)
	}
	if r, _, err = receipt.Decode([]byte(body), receipt.Defaults{Tax: vat.Tax}); err != nil || r.Fiscal {
		t.Errorf("%+v, %v", r, err)
	}
}

// edit changes the example: pairs of what stands there and what shall.
func edit(pairs ...string) string {
	body := example
	for n := 0; n < len(pairs); n += 2 {
		if strings.Count(body, pairs[n]) != 1 {
			panic("not once in the example: " + pairs[n])
		}
		body = strings.Replace(body, pairs[n], pairs[n+1], 1)
	}
	return body
}

func TestDecode_NamesEveryFault(t *testing.T) {
	const (
		items    = `"items":[{"name":"Plov","code":"1001","unit":"piece","quantity":"1.5","price":"8.00","discount":"0.00","tax":"vat18"}]`
		payments = `"payments":{"cash":"20.00","card":"0.00","bonus":"0.00","prepaid":"0.00","credit":"0.00"}`
		parent   = `"fiscal":true`
	)
	for name, c := range map[string]struct{ body, want string }{
		"nothing":                  {``, ": not_json"},
		"not JSON":                 {`{`, ": not_json"},
		"cut off":                  {example[:len(example)-3], ": not_json"},
		"two values":               {example + `{}`, ": not_json"},
		"an array":                 {`[` + example + `]`, ": not_json"},
		"null":                     {`null`, ": not_json"},
		"a comma too many":         {edit(`"table 7"`, `"table 7",`), ": not_json"},
		"bad UTF-8":                {edit(`table`, "t\xffable"), ": not_json"},
		"UTF-16":                   {"\xff\xfe{\x00}\x00", ": not_json"},
		"nested too deeply":        {edit(`"table 7"`, strings.Repeat(`[`, 9)+strings.Repeat(`]`, 9)), ": not_json"},
		"nested without end":       {strings.Repeat(`{"a":`, 100_000), ": not_json"},
		"NaN":                      {edit(`"8.00"`, `NaN`), ": not_json"},
		"a leading zero":           {edit(`"8.00"`, `08`), ": not_json"},
		"an empty object":          {`{}`, "id: required; kind: required; time: required"},
		"an unknown field":         {edit(`"note"`, `"remark"`), "remark: unknown_field"},
		"a field in capitals":      {edit(`"note"`, `"Note"`), "Note: unknown_field"},
		"an unknown field inside":  {edit(`"code"`, `"sku"`), "items[0].sku: unknown_field"},
		"an unknown payment":       {edit(`"card":"0.00"`, `"coins":"0.00"`), "payments.coins: unknown_field"},
		"an endless unknown field": {edit(`"note"`, `"`+strings.Repeat("ə", 1000)+`"`), strings.Repeat("ə", 64) + ": unknown_field"},
		"a field twice":            {edit(`"fiscal":true`, `"fiscal":true,"fiscal":true`), "fiscal: duplicate_field"},
		"a field twice, escaped":   {edit(`"fiscal":true`, `"fiscal":true,"f\u0069scal":false`), "fiscal: duplicate_field"},
		"a field twice inside":     {edit(`"code":"1001"`, `"code":"1001","code":"1002"`), "items[0].code: duplicate_field"},
		"no id":                    {edit(`"id":"till1-000123",`, ``), "id: required"},
		"a null id":                {edit(`"till1-000123"`, `null`), "id: required"},
		"an empty id":              {edit(`"till1-000123"`, `""`), "id: required"},
		"an id of 65 characters":   {edit(`till1-000123`, strings.Repeat("x", 65)), "id: bad_pattern"},
		"an id with a blank":       {edit(`till1-000123`, `till1 000123`), "id: bad_pattern"},
		"an id with a line end":    {edit(`till1-000123`, `till1-000123\n`), "id: bad_pattern"},
		"an id in other letters":   {edit(`till1-000123`, `kassa-ə`), "id: bad_pattern"},
		"an endless id":            {edit(`till1-000123`, strings.Repeat("x", 1001)), "id: too_long (1000)"},
		"an id that is a number":   {edit(`"till1-000123"`, `123`), "id: wrong_type (string)"},
		"no kind":                  {edit(`"kind":"sale",`, ``), "kind: required"},
		"an unknown kind":          {edit(`"sale"`, `"gift"`), "kind: not_allowed"},
		"a cash order's kind":      {edit(`"sale"`, `"deposit"`), "kind: not_allowed"},
		"a kind that is a list":    {edit(`"sale"`, `["sale"]`), "kind: wrong_type (string)"},
		"no time":                  {edit(`"2026-11-23T19:05:12+04:00"`, `null`), "time: required"},
		"a time without offset":    {edit(`12+04:00`, `12`), "time: bad_time"},
		"a time of no calendar":    {edit(`2026-11-23`, `2026-02-30`), "time: bad_time"},
		"a time that is a number":  {edit(`"2026-11-23T19:05:12+04:00"`, `1795359912`), "time: wrong_type (string)"},
		"an hour of one digit":     {edit(`T19:05`, `T9:05`), "time: bad_time"},
		"an offset of a day":       {edit(`+04:00`, `+24:00`), "time: bad_time"},
		"a fraction with a comma":  {edit(`12+04:00`, `12,5+04:00`), "time: bad_time"},
		"the year 10000 in UTC":    {edit(`2026-11-23T19:05:12+04:00`, `9999-12-31T23:59:59-04:00`), "time: bad_time"},
		"the year 0 in UTC":        {edit(`2026-11-23T19:05:12+04:00`, `0001-01-01T00:00:00+04:00`), "time: bad_time"},
		"a long cashier":           {edit(`Aysel M.`, strings.Repeat("ə", 257)), "cashier: too_long (256)"},
		"a cashier of no type":     {edit(`"Aysel M."`, `{"name":"Aysel"}`), "cashier: wrong_type (string)"},
		"fiscal as a word":         {edit(`"fiscal":true`, `"fiscal":"true"`), "fiscal: wrong_type (boolean)"},
		"fiscal as a number":       {edit(`"fiscal":true`, `"fiscal":1`), "fiscal: wrong_type (boolean)"},

		"no items":               {edit(items+",", ``), "items: required"},
		"null items":             {edit(items, `"items":null`), "items: required"},
		"empty items":            {edit(items, `"items":[]`), "items: no_items"},
		"items as an object":     {edit(items, `"items":{}`), "items: wrong_type (array)"},
		"202 items":              {edit(items, `"items":[`+strings.Repeat(`{},`, 201)+`{}]`), "items: too_many (201)"},
		"an item that is none":   {edit(items, `"items":[7,null]`), "items[0]: wrong_type (object); items[1]: wrong_type (object)"},
		"an empty item":          {edit(items, `"items":[{}]`), "items[0].name: required; items[0].quantity: required; items[0].price: required"},
		"an empty name":          {edit(`"Plov"`, `""`), "items[0].name: required"},
		"a long name":            {edit(`"Plov"`, `"`+strings.Repeat("p", 513)+`"`), "items[0].name: too_long (512)"},
		"an unknown unit":        {edit(`"piece"`, `"pcs"`), "items[0].unit: not_allowed (piece kg l m m2 m3)"},
		"an empty unit":          {edit(`"piece"`, `""`), "items[0].unit: not_allowed (piece kg l m m2 m3)"},
		"an unknown tax":         {edit(`"vat18"`, `"vat20"`), "items[0].tax: not_allowed (vat18 vat0 exempt margin18 simplified2 simplified8)"},
		"an empty tax":           {edit(`"vat18"`, `""`), "items[0].tax: not_allowed (vat18 vat0 exempt margin18 simplified2 simplified8)"},
		"a tax that is a rate":   {edit(`"vat18"`, `18`), "items[0].tax: wrong_type (string)"},
		"margin without price":   {edit(`"vat18"`, `"margin18"`), "items[0].purchase_price: required"},
		"quantity zero":          {edit(`"1.5"`, `0`), "items[0].quantity: not_positive"},
		"a negative quantity":    {edit(`"1.5"`, `-1.5`), "items[0].quantity: negative"},
		"a too precise quantity": {edit(`"1.5"`, `"1.5001"`), "items[0].quantity: too_precise (3)"},
		"a huge quantity":        {edit(`"1.5"`, `1000000.001`), "items[0].quantity: too_large"},
		"a quantity and a price": {edit(`"1.5"`, `1000000`, `"8.00"`, `10000000`), "items[0].price: too_large"},
		"a quantity with comma":  {edit(`"1.5"`, `"1,5"`), "items[0].quantity: not_decimal"},
		"a quantity as boolean":  {edit(`"1.5"`, `true`), "items[0].quantity: wrong_type (decimal)"},
		"a negative price":       {edit(`"8.00"`, `"-8.00"`), "items[0].price: negative"},
		"a too precise price":    {edit(`"8.00"`, `8.001`), "items[0].price: too_precise (2)"},
		"a price with exponent":  {edit(`"8.00"`, `8e0`), "items[0].price: not_decimal"},
		"a price not a number":   {edit(`"8.00"`, `"NaN"`), "items[0].price: not_decimal"},
		"an empty price":         {edit(`"8.00"`, `""`), "items[0].price: not_decimal"},
		"a null price":           {edit(`"8.00"`, `null`), "items[0].price: required"},
		"a huge price":           {edit(`"8.00"`, strings.Repeat("9", 400)), "items[0].price: too_large"},
		"a price above the most": {edit(`"8.00"`, `10000000.01`), "items[0].price: too_large"},
		"too much in all":        {edit(items, `"items":[`+`{"name":"x","quantity":1,"price":6000000},{"name":"x","quantity":1,"price":6000000}]`, `"20.00"`, `"10000000"`), "items: too_large"},
		"a discount above gross": {edit(`"discount":"0.00"`, `"discount":"12.01"`), "items[0].discount: discount_too_large (12.00)"},
		"a negative discount":    {edit(`"discount":"0.00"`, `"discount":"-0.01"`), "items[0].discount: negative"},

		"no payments":            {edit(payments+",", ``), "payments: required"},
		"payments as a list":     {edit(payments, `"payments":[]`), "payments: wrong_type (object)"},
		"nothing paid":           {edit(payments, `"payments":{}`), "payments: underpaid (12.00)"},
		"underpaid":              {edit(`"20.00"`, `"11.99"`), "payments: underpaid (0.01)"},
		"overpaid by card":       {edit(`"cash":"20.00","card":"0.00"`, `"cash":"0.00","card":"12.01"`), "payments: overpaid (0.01)"},
		"overpaid beside cash":   {edit(`"bonus":"0.00"`, `"bonus":"12.01"`), "payments: overpaid (0.01)"},
		"a negative payment":     {edit(`"card":"0.00"`, `"card":"-8.00"`), "payments.card: negative"},
		"a payment as text":      {edit(`"card":"0.00"`, `"card":"free"`), "payments.card: not_decimal"},
		"prepaid, no parent":     {edit(`"prepaid":"0.00"`, `"prepaid":"5.00"`), "parent: required"},
		"prepaid by nobody":      {edit(`"sale"`, `"prepayment"`, `"prepaid":"0.00"`, `"prepaid":"1"`), "payments.prepaid: misplaced (prepayment)"},
		"a prepayment on credit": {edit(`"sale"`, `"prepayment"`, `"credit":"0.00"`, `"credit":"1"`), "payments.credit: misplaced (prepayment)"},
		"change from a refund":   {edit(`"sale"`, `"refund"`, parent, `"parent":{"id":"a"}`), "payments: not_equal (12.00)"},
		"change, correction":     {edit(`"sale"`, `"correction"`, parent, `"period":{"from":"2026-11-23T19:05:12Z","to":"2026-11-23T19:05:12Z"}`), "payments: not_equal (12.00)"},

		"a refund of nothing":    {edit(`"sale"`, `"refund"`), "parent: required"},
		"a null parent":          {edit(`"sale"`, `"refund"`, parent, `"parent":null`), "parent: required"},
		"a cancel of nothing":    {edit(`"sale"`, `"cancel"`), "parent: required"},
		"a debt of nothing":      {edit(`"sale"`, `"credit_payment"`), "parent: required"},
		"a sale of a sale":       {edit(parent, `"parent":{"id":"a"}`), "parent: misplaced (sale)"},
		"both parents":           {edit(`"sale"`, `"refund"`, parent, `"parent":{"id":"a","fiscal_id":"b"}`), "parent: either_or (id, fiscal_id)"},
		"no parent in it":        {edit(`"sale"`, `"refund"`, parent, `"parent":{"number":"7"}`), "parent: either_or (id, fiscal_id)"},
		"a parent as text":       {edit(`"sale"`, `"refund"`, parent, `"parent":"a"`), "parent: wrong_type (object)"},
		"a parent's unread id":   {edit(`"sale"`, `"refund"`, parent, `"parent":{"id":7}`), "parent.id: wrong_type (string)"},
		"a parent's other field": {edit(`"sale"`, `"refund"`, parent, `"parent":{"id":"a","uuid":"b"}`), "parent.uuid: unknown_field"},
		"a cancel that pays":     {edit(`"sale"`, `"cancel"`, items+",", ``, parent, `"parent":{"id":"a"}`), "payments: misplaced (cancel)"},
		"parent, payment unread": {edit(parent, `"parent":{"id":"a"}`, `"prepaid":"0.00"`, `"prepaid":"x"`), "payments.prepaid: not_decimal"},

		"a correction of no time": {edit(`"sale"`, `"correction"`), "period: required"},
		"a sale with a period":    {edit(parent, `"period":{"from":"2026-11-23T19:05:12Z","to":"2026-11-23T19:05:12Z"}`), "period: misplaced (sale)"},
		"a period backwards":      {edit(`"sale"`, `"correction"`, parent, `"period":{"from":"2026-11-23T19:05:12Z","to":"2026-11-23T19:05:11Z"}`), "period.to: period_order"},
		"half a period":           {edit(`"sale"`, `"correction"`, parent, `"period":{"from":"2026-11-23T19:05:12Z"}`), "period.to: required"},
		"a period as text":        {edit(`"sale"`, `"correction"`, parent, `"period":"yesterday"`), "period: wrong_type (object)"},

		"several at once": {
			edit(`"till1-000123"`, `"!"`, `"sale"`, `"gift"`, `"1.5"`, `-1`, `"8.00"`, `"8.001"`, `"20.00"`, `"x"`, `"note"`, `"remark"`),
			"id: bad_pattern; kind: not_allowed; items[0].quantity: negative; items[0].price: too_precise (2); payments.cash: not_decimal; remark: unknown_field",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, f, err := receipt.Decode([]byte(c.body), vat)
			var faults receipt.Faults
			if !errors.As(err, &faults) {
				t.Fatalf("got %+v, %v, want faults", r, err)
			}
			if r.ID != "" || f != (receipt.Fingerprint{}) {
				t.Error("something is given beside the faults")
			}
			if got, want := named(faults, c.want), strings.Split(c.want, "; "); strings.Join(got, "; ") != strings.Join(want, "; ") {
				t.Errorf("\ngot  %s\nwant %s", strings.Join(got, "; "), c.want)
			}
		})
	}
}

// named gives faults as the table above writes them; the detail only where the
// table has one.
func named(faults receipt.Faults, want string) (list []string) {
	for _, f := range faults {
		s := fmt.Sprintf("%s: %s", f.Field, f.Code)
		if long := fmt.Sprintf("%s (%s)", s, f.Detail); strings.Contains(want, long) {
			s = long
		}
		list = append(list, s)
	}
	return list
}

func TestDecode_TakesWhatIsJustAllowed(t *testing.T) {
	for name, body := range map[string]string{
		"an id of 64":         edit(`till1-000123`, strings.Repeat("x", 62)+":."),
		"201 items":           edit(`"items":[`, `"items":[`+strings.Repeat(`{"name":"x","quantity":1,"price":0},`, 200)),
		"exact cash":          edit(`"20.00"`, `"12"`),
		"a free dish":         edit(`"8.00"`, `0`),
		"all off":             edit(`"discount":"0.00"`, `"discount":"12.00"`),
		"all by card":         edit(`"cash":"20.00","card":"0.00"`, `"cash":"0.00","card":"12"`),
		"change beside card":  edit(`"card":"0.00"`, `"card":"11.99"`),
		"nulls":               edit(`"note":"table 7"`, `"note":null,"parent":null,"period":null,"contract":null`),
		"a cancel":            `{"id":"a","kind":"cancel","time":"2026-11-23T19:05:12Z","parent":{"id":"b"}}`,
		"a cancel, bare":      `{"id":"a","kind":"cancel","time":"2026-11-23T19:05:12Z","parent":{"id":"b"},"items":[],"payments":{}}`,
		"a prepaid sale":      edit(`"prepaid":"0.00"`, `"prepaid":"12.00"`, `"20.00"`, `0`, `"fiscal":true`, `"parent":{"fiscal_id":"b","number":"7"}`),
		"purchase price zero": edit(`"vat18"`, `"margin18","purchase_price":"0"`),
	} {
		if _, _, err := receipt.Decode([]byte(body), vat); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecode_DefaultMarginNeedsThePurchasePrice(t *testing.T) {
	_, _, err := receipt.Decode([]byte(edit(`,"tax":"vat18"`, ``)), receipt.Defaults{Tax: receipt.Tax{Type: receipt.Margin18}})
	if err == nil || !strings.Contains(err.Error(), "items[0].purchase_price: required") {
		t.Error(err)
	}
}

func TestFaults_AreOneLineForLogs(t *testing.T) {
	_, _, err := receipt.Decode([]byte(edit(`"8.00"`, `"8.001"`, `"1.5"`, `0`)), vat)
	const want = "read receipt: items[0].quantity: not_positive; items[0].price: too_precise (2)"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestDecodeCash(t *testing.T) {
	now := time.Date(2026, 11, 23, 19, 0, 0, 0, baku)
	for _, c := range []struct{ body, want string }{
		{`{"id":"c1","amount":"50.00","time":"2026-11-23T19:05:12+04:00","cashier":"Aysel","note":"small change"}`, ""},
		{`{"id":"c1","amount":50}`, ""},
		{`{"id":"c1"}`, "amount: required"},
		{`{"id":"c1","amount":"0.00"}`, "amount: not_positive"},
		{`{"id":"c1","amount":"-1"}`, "amount: negative"},
		{`{"id":"c1","amount":"1.001"}`, "amount: too_precise"},
		{`{"id":"c1","amount":10000000.01}`, "amount: too_large"},
		{`{"id":"","amount":1,"kind":"deposit"}`, "id: required; kind: unknown_field"},
		{`[]`, ": not_json"},
		{`{"id":"c1","amount":1,"time":"now"}`, "time: bad_time"},
	} {
		r, _, err := receipt.DecodeCash([]byte(c.body), receipt.Withdrawal, now)
		var faults receipt.Faults
		if errors.As(err, &faults); strings.Join(named(faults, ""), "; ") != c.want {
			t.Errorf("%s: got %v, want %q", c.body, err, c.want)
		}
		if err == nil && (r.Kind != receipt.Withdrawal || !r.Kind.IsCash() || !r.Fiscal || r.Total() != 50_00 || r.Change() != 0 || r.Time.IsZero()) {
			t.Errorf("%s: %+v", c.body, r)
		}
	}
}

func TestDecodeCash_ARepeatIsTheSameWheneverItComes(t *testing.T) {
	now := time.Date(2026, 11, 23, 19, 0, 0, 0, baku)
	body := []byte(`{"id":"c1","amount":"50.00"}`)
	_, f, _ := receipt.DecodeCash(body, receipt.Deposit, now)
	_, g, _ := receipt.DecodeCash([]byte(`{"amount":50,"id":"c1","note":""}`), receipt.Deposit, now.Add(time.Minute))
	if !f.Same(g) {
		t.Error("a repeat a minute later counts as another order")
	}
	for _, other := range []string{`{"id":"c1","amount":"50.01"}`, `{"id":"c1","amount":"50.00","note":"x"}`} {
		if _, h, err := receipt.DecodeCash([]byte(other), receipt.Deposit, now); err != nil || f.Same(h) {
			t.Errorf("%s counts as a repeat (%v)", other, err)
		}
	}
	if _, h, _ := receipt.DecodeCash(body, receipt.Withdrawal, now); f.Same(h) {
		t.Error("taking out counts as a repeat of putting in")
	}
}

func TestDecode_GivesTheReceiptThatWasMeant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawReceipt(t)
		keepsTheRules(t, r)
		body := drawStyle(t, "style").body(r, vat)
		got, _, err := receipt.Decode(body, vat)
		if err != nil {
			t.Fatalf("%v\n%s", err, body)
		}
		if inUTC(got) != inUTC(r) {
			t.Fatalf("got  %s\nwant %s", inUTC(got), inUTC(r))
		}
	})
}

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

// keepsTheRules holds a decoded receipt to everything that was promised of it,
// worked out anew and in another way than the package does.
func keepsTheRules(t fataler, r receipt.Receipt) {
	t.Helper()
	fail := func(what string) { t.Helper(); t.Fatalf("%s: %s", what, inUTC(r)) }
	if !receipt.ValidID(r.ID) || r.Time.IsZero() && r.Time.Year() != 1 {
		fail("id or time")
	}
	var total receipt.Money
	for _, i := range r.Items {
		if i.Name == "" || i.Unit == "" || i.Quantity <= 0 || i.Price < 0 || i.Discount < 0 || i.Total() < 0 || i.Tax == (receipt.Tax{}) {
			fail("a line")
		}
		total += i.Total()
	}
	if total != r.Total() || total > receipt.MaxMoney {
		fail("total")
	}
	p := r.Payments
	exact := p.Card + p.Bonus + p.Prepaid + p.Credit
	bare := r.Kind == receipt.Cancel && len(r.Items) == 0
	switch {
	case min(p.Cash, p.Card, p.Bonus, p.Prepaid, p.Credit) < 0:
		fail("a negative payment")
	case exact > total, p.Cash+exact < total:
		fail("paid")
	case r.Change() < 0, r.Change() > p.Cash:
		fail("change")
	case len(r.Items) == 0 && !bare, bare && p != (receipt.Payments{}), len(r.Items) > receipt.MaxItems:
		fail("lines")
	}
	parent := p.Prepaid > 0
	switch r.Kind {
	case receipt.Refund, receipt.Cancel, receipt.CreditPayment:
		parent = true
	}
	if (r.Parent != nil) != parent || parent && (r.Parent.ID == "") == (r.Parent.FiscalID == "") {
		fail("parent")
	}
	if (r.Period != nil) != (r.Kind == receipt.Correction) || r.Period != nil && r.Period.To.Before(r.Period.From) {
		fail("period")
	}
	// What the journal writes, it reads again.
	b, err := json.Marshal(r)
	if err != nil {
		fail(err.Error())
	}
	var again receipt.Receipt
	if err := json.Unmarshal(b, &again); err != nil || inUTC(again) != inUTC(r) || again.Total() != total || again.Change() != r.Change() {
		fail(fmt.Sprint("written and read again: ", err))
	}
}
