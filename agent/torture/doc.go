// Package torture proves "never lost, never twice" with figures that anyone can
// repeat. It runs the agent and the registers as processes of their own, has
// tills sell through them, and meanwhile kills, breaks and swaps whatever it can
// (chaos), or takes the disk away under them as a power cut does (powercut). At
// the end an independent referee compares what tills were told with the agent's
// answers, its journal on the disk, and the ledgers of the registers.
//
// How the referee knows which receipt a document belongs to, without believing
// the agent: every receipt's cashier is called by the receipt's id, and every
// register writes the cashier into its ledger. Keys, numbers and the journal's
// own opinion are judged by that, never used for it.
//
// What happens is planned: the receipts and the troubles are a pure function of
// the seed. When they meet is not, since processes take the time they take.
package torture
