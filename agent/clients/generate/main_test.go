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
	for was, want := range map[string]string{"operationId: closeShift": "no operation closeShift", "pattern: '^urn:ekassa": "a problem of ours"} {
		if _, err := generate(bytes.Replace(document, []byte(was), []byte("x-was: '"), 1)); err == nil || !strings.Contains(err.Error(), want) {
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
