package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestClientsAreOfTheDocument(t *testing.T) {
	document, err := os.ReadFile("../../till/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files, err := generate(document)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("agent/clients/%s is not what the document gives: run scripts/clients", name)
		}
	}
}

func TestGenerate_SaysWhatIsMissing(t *testing.T) {
	document, err := os.ReadFile("../../till/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for was, c := range map[string]struct{ now, want string }{
		"operationId: closeShift": {"x-was: 'closeShift'", "no operation closeShift"},
		"pattern: '^urn:ekassa":   {"x-was: '", "a problem of ours"},
		"x-events:":               {"x-was:", "getEvents: it has no answer"},
	} {
		if _, err := generate(bytes.Replace(document, []byte(was), []byte(c.now), 1)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("without %s: %v", was, err)
		}
	}
}

// The TypeScript compiler takes the types, and finds what is wrong by them: where it
// finds nothing behind @ts-expect-error, that is a fault too.
func TestTypes(t *testing.T) {
	client, err := filepath.Abs("../ekassa.mjs")
	if err != nil {
		t.Fatal(err)
	}
	till := filepath.Join(t.TempDir(), "till.mts")
	source := `import {Till, RejectedError, UncertainError, type NewReceipt} from '` + client + `'
const till = new Till({agent: 'http://127.0.0.1:8787', token: 't', language: 'az'})
const sale: NewReceipt = {id: 'a-1', kind: 'sale', time: '2026-11-23T19:05:12+04:00', items: [{name: 'Plov', quantity: '1', price: '8.00', tax: 'vat18'}], payments: {cash: '8.00'}}
export async function sell(): Promise<string> {
  try {
    const receipt = await till.postReceipt(sale, {wait: 20, signal: new AbortController().signal})
    const report = await till.closeShift()
    return receipt.document?.fiscal_id ?? receipt.reason?.text ?? report.balance?.differences?.[0].figure ?? report.sales.sum
  } catch (e) {
    if (e instanceof RejectedError) return e.code + e.problem.errors[0].field
    if (e instanceof UncertainError) return e.problem?.detail ?? e.message
    throw e
  }
}
export async function follow(last: string): Promise<void> {
  for await (const e of till.getEvents({last, signal: new AbortController().signal})) {
    if (e.event === 'hello' && e.data.reset) await till.listReceipts({limit: '200'})
    if (e.event === 'receipt' && e.data.state === 'fiscal') last = e.id + e.data.document?.fiscal_id
    // @ts-expect-error only hello has it
    if (e.event === 'receipt') e.data.reset
  }
  const details = await till.getReceiptDetails('a-1')
  last = details.items[0].name + details.tries[0].learned[0].proof + details.taxes[0].turnover + (await till.printReceiptSlip('a-1')).state
  const reports = await till.listReports({kind: 'x'})
  last = reports.reports[0].report.sales.sum + (await till.periodReport({from: '2026-11-01', to: '2026-11-30'})).refunds.sum
}
// @ts-expect-error the days are missing
till.periodReport({})
// @ts-expect-error the id is missing
till.postReceipt({kind: 'sale', time: ''})
// @ts-expect-error no such tax
sale.items![0].tax = 'vat20'
// @ts-expect-error no such field
sale.total = '8.00'
// @ts-expect-error no such state
till.getReceipt('a-1').then(r => r.state === 'done')
`
	if err := os.WriteFile(till, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("tsc", "--noEmit", "--strict", "--target", "es2022", "--module", "node16", "--moduleResolution", "node16", till).CombinedOutput()
	if err != nil {
		t.Errorf("tsc (node-typescript): %v\n%s", err, out)
	}
}
