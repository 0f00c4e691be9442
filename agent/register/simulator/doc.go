// Package simulator is a fiscal cash register in software: it speaks a
// register's true protocol over a real socket, keeps a ledger that survives
// its restart, prints its receipts as text, and fails on demand.
//
// It is there to be tested against, by the agent's own suites and by POS makers
// who have no device on the table. So it is strict where a device may be strict,
// and where the public material leaves a point open it follows one documented
// default and offers the other reading as a quirk (see Protocol.Quirks). It is
// written against the protocol pages (one per maker: "the page" in the comments
// of a maker's files is its own, with the section) and against the national
// rules, never against the agent's drivers, and it shares no code with them: a
// misreading in one must show up against the other.
//
// Two halves, held apart because Omnitech and Caspos registers sit over the same
// kind of national fiscal token:
//
//   - the fiscal core: token.go (shift, documents, drawer), rules.go (what a
//     token refuses, as reasons), book.go (the ledger on disk), report.go,
//     paper.go, faults.go, device.go, gate.go and server.go (the socket and what
//     can go wrong on it), control.go (the control API under /sim/), announce.go;
//   - the protocols: azsmart*.go, omnitech*.go and caspos*.go, each of which turns
//     wire requests into documents of the core, and the core's reasons into the
//     codes of its page. protocol.go lists them.
//
// The guarantee: a document is on disk, synced, before the first byte of its
// answer is written. The ledger is the truth; what a client was told, or not
// told, never changes it.
//
// Nothing that serves a shop knows this package: tests do, the command ekassa-sim,
// and package training, whose agent has a journal of its own to throw away.
package simulator
