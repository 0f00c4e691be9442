// Package omnitech speaks API v2 of the Omnitech e-kassa (the Omnicashier app).
//
// "Section" in the comments means a section of the project's page on the
// protocol. What could mean "made" as well as "not made" is Unknown.
//
// What a lost answer can be judged by:
//
//   - sale, money back and correction carry prev_doc_number: they are only made
//     on top of the token's number that was read before (section 8). A number
//     that has not moved proves that nothing was made.
//   - for all others no page says that the number is looked at (section 16): it
//     is asked for in the same way, and the X report's counters are in their
//     baseline.
//   - int_ref is a label, not a key. It finds the document in the history (17),
//     where the number has moved.
package omnitech
