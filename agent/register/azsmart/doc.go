// Package azsmart speaks the HTTP interface of the AzSmart e-kassa, also called
// SmartOne Cashbox, in its older ("classic") and its newer ("new") edition.
//
// "Section" in the comments means a section of the project's page on the
// protocol. The maker's pages contradict one another in places; where they do,
// every reading is understood, and what could mean "made" as well as "not made"
// is Unknown.
//
// What a lost answer can be judged by:
//
//   - new edition: documentExtID is the key of sale, refund, prepayment, deposit
//     and withdrawal (8.2). /check_status finds by it, and the same bytes sent
//     again give the existing document.
//   - classic edition: /check_status is asked for docTime + docNumber + amount
//     (5.4, 8.1), which the maker hints at but does not promise; the counters of
//     the X report stand beside it. The driver therefore claims no key there.
//   - rollback, credit payment and correction carry no key in either edition:
//     the driver says that it cannot tell, and its baseline for these kinds has
//     the counters of the X report. For keyed kinds of the new edition it has
//     not, since a device may print every X report that it is asked for.
//
// docNumber is the job's key and not the till's bill number: the register prints
// an old document again instead of making a new one where docTime, docNumber and
// amount agree (8.1), and two bills may well share the other two.
package azsmart
