// Package till is the HTTP API that tills speak to (contract.md 3), and the
// OpenAPI document that describes it.
//
// What it promises: a till is told yes (200, 201, 202) only for a receipt that
// the journal has on disk, and once that is so, nothing that goes wrong later
// in the request turns the yes into anything else. The same id may be sent
// again at any time.
//
// The order in which a request is looked at: the Host header (against DNS
// rebinding), pages of other sites, the token, the rate, the content type, the
// body. The terminal is the token's, never the request's.
//
// It knows neither the journal's database nor any register: it declares the
// little that it needs of both, as [Journal] and [Desk].
package till
