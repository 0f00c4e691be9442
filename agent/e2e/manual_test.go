package e2e

import (
	"fmt"
	"os"
	"testing"

	"ekassa/agent/register/simulator"
	"ekassa/cloud/browsertest"
)

// What makers of tills read, in a real browser, over a real agent: on a telephone
// and a desktop, bright and dark.
func TestManual(t *testing.T) {
	if browsertest.Shots != "" {
		if err := os.MkdirAll(browsertest.Shots, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	sim := register(t, simulator.Config{})
	s := newShop(t, at(sim.Addr()))
	s.serve(fast)
	b := browsertest.New(t)
	for path, words := range map[string]string{"": "POST /v1/receipts", "/guide": "From nothing to a fiscal receipt", "/errors": "urn:ekassa:problem:CODE"} {
		b.Open("http://" + s.listen + "/docs" + path)
		b.Sees(words)
		for _, width := range []int{360, 1280} {
			for scheme, dark := range map[string]bool{"light": false, "dark": true} {
				b.Size(width)
				b.Dark(dark)
				b.Fits(fmt.Sprintf("docs%s-%s-%d", map[string]string{"": "-api", "/guide": "-guide", "/errors": "-errors"}[path], scheme, width))
				ground := b.Says(`getComputedStyle(document.body).backgroundColor`)
				if want := map[bool]string{false: "rgb(241, 244, 242)", true: "rgb(17, 23, 20)"}[dark]; ground != want {
					t.Errorf("/docs%s, %s: the ground is %s, want %s", path, scheme, ground, want)
				}
			}
		}
	}
	// From the contents to a call, which opens, from there to what it takes, and to the other pages.
	b.Open("http://" + s.listen + "/docs")
	b.Click(`.contents a[href="#postReceipt"]`)
	b.Visible(`#postReceipt .answers`)
	b.Holds(`document.querySelector('#postReceipt').getBoundingClientRect().top < innerHeight / 2`)
	b.Click(`#postReceipt a[href="#schema-NewReceipt"]`)
	b.Visible(`#schema-NewReceipt dt`)
	b.Leaves(func() { b.Click(`header a[href="/docs/guide"]`) })
	b.Leaves(func() { b.Click(`main a[href="/docs/errors"]`) })
	b.Sees("what the till does")
}
