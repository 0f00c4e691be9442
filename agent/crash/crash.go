// Package crash names the moments between two durable steps of a receipt, so
// that a test can kill the agent at each of them. In the program that is
// shipped all of it is empty; only a build with the tag crashpoints dies, at the
// point and pass that EKASSA_CRASH names ("attempt_committed:3").
package crash

// The points, in the order in which a receipt passes them.
const (
	Received         = "received"          // read from the till, not stored
	Committed        = "committed"         // in the journal, the till not told
	Baseline         = "baseline"          // the register told where it stands
	AttemptCommitted = "attempt_committed" // the attempt is on disk, no byte has left
	FirstByte        = "first_byte"        // one byte has left; armed with its route: "first_byte/sale"
	LastByte         = "last_byte"         // all bytes have left; with its route as well
	AnswerRead       = "answer_read"       // the register answered, nothing of it is stored
	ResultCommitted  = "result_committed"  // the document and its record are on disk
)

// Points lists them.
var Points = []string{Received, Committed, Baseline, AttemptCommitted, FirstByte, LastByte, AnswerRead, ResultCommitted}
