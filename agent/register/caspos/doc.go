// Package caspos speaks the HTTP interface of Caspos Mobile, an e-kassa on Sunmi
// and similar devices.
//
// "Section" in the comments means a section of the project's page on the
// protocol, protocols/caspos.md.
//
// # What a lost answer is settled by
//
// Every document carries documentUUID, which is made of our own key and so is the
// same on every attempt (section 8). The register answers a repeat with code 1
// and, mostly, with the ids of the document that it made the first time. It has no
// question by UUID: its control tape lists documents without it. So Lookup goes
// three steps:
//
//  1. It looks at the shift, at last_doc_number and at the control tape. If the
//     shift is still the one that the request was written for and nothing is new
//     since, the document was not made, and that is NotFound; unless the register
//     has said itself that it knows the UUID.
//  2. If anything is new, ours or rung up by hand, only the key can tell. Lookup
//     then sends the same document again, under the same UUID and only within the
//     same shift. If ours was made, this is the question for it; if not, this
//     makes it, once. NotFound would be too much said here: it counts as proof
//     that nothing was made, and a receipt that is waiting by such a proof may be
//     sent in a later shift, in which the register may have forgotten the UUID.
//  3. If the register says that the UUID is a repeat but not whose (code 1 without
//     ids), the tape names the document only where exactly one is new, bears the
//     number after the baseline's, and agrees in type and sum. Otherwise a person
//     decides.
//
// In another shift the key is not believed (section 8), and a person decides.
// That it is the same one is told by its opening time, and by the tape, which only
// has the running shift: a number since the baseline that is not on it may be ours,
// in a shift that has ended.
package caspos
