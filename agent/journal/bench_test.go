package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ekassa/agent/register"
)

// BenchmarkJourney takes receipts from the till's yes to their document: three
// commits each. It tells what that writes to the SD card: frames of the log,
// and what stays in the file.
func BenchmarkJourney(b *testing.B) {
	for _, lines := range []int{1, 5, 20} {
		b.Run(fmt.Sprintf("lines=%d", lines), func(b *testing.B) {
			j := fresh(b)
			path := filepath.Join(j.dir, fileName)
			// Nothing moves from the log into the file meanwhile, so that it can be measured.
			if err := j.writer.do(func(t *tx) error {
				var n int
				return t.QueryRow(`PRAGMA wal_autocheckpoint = 0`).Scan(&n)
			}); err != nil {
				b.Fatal(err)
			}
			item := `{"name":"Nərə balığı kababı","code":"1018","unit":"kg","quantity":"0.631","price":"54.00","tax":"vat18"}`
			sale := func(id string) string {
				return fmt.Sprintf(`{"id":%q,"kind":"sale","time":"2026-11-23T19:05:12+04:00","cashier":"Aysel Məmmədova","number":"1","note":"masa 34","items":[%s],"payments":{"cash":"1000.00","card":"0"}}`,
					id, item+strings.Repeat(","+item, lines-1))
			}
			request := []byte(strings.Repeat(`{"itemName":"Nərə balığı kababı","itemCode":"1018","itemQty":631,"itemAmount":3407,"itemTaxes":[{"taxName":"ƏDV 18%","taxPrc":1800}]},`, lines) +
				`"documentExtID":"1234567800000001","docTime":"23-11-2026 19:05:12","docNumber":"1234567800000001","wsName":"","departmentName":"","employeeName":"Aysel Məmmədova","amount":3407,"currency":"AZN"`)
			size := func(p string) int64 {
				info, err := os.Stat(p)
				if err != nil {
					b.Fatal(err)
				}
				return info.Size()
			}
			before, commits := size(path+"-wal"), 0
			for b.Loop() {
				s := accept1(b, j, "kassa-1", sale(fmt.Sprintf("w1-%06d", commits)))
				commits += 3
				a := attempt(s)
				a.Request = register.Request{Route: "sale", Key: s.Key, Body: request}
				if err := j.Begin(a); err != nil {
					b.Fatal(err)
				}
				conclude(b, j, a, made(fmt.Sprintf("8GGA73rE1H5EzSGU3vfQjAAhmJZ%06d", commits)))
			}
			receipts := float64(commits / 3)
			b.ReportMetric(float64(size(path+"-wal")-before)/receipts, "log-B/receipt")
			file := count(b, j, `SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)`)
			b.ReportMetric(float64(file)/receipts, "file-B/receipt")
		})
	}
}
