// Package frontdoor serves tills that speak a register's own protocol: to them
// the agent is the register. It is written against the protocol's page alone and
// shares nothing with the driver of the same protocol, nor with the simulator.
//
// Its answers keep one promise, whatever dies in between:
//
//   - success means that the journal has the document: it is fiscal (docStatus 1),
//     or will be, or a person decides about it (docStatus 0);
//   - error means that nothing was made and nothing will be.
//
// What names an operation, so that its repeat is known (section 8 of the page):
// documentExtID where there is one; else docTime with docNumber and amount, the
// older edition's rule; of a rollback, the document that it cancels. A request
// without any of these is an operation of its own each time.
package frontdoor
