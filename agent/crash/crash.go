// Package crash names the moments between two durable steps of a receipt, so
// that a test can kill the agent at each of them, and keeps the clock, so that a
// test can set it wrong. In the program that is shipped it does nothing and the
// clock is time.Now; only a build with the tag crashpoints dies, at the point and
// pass that EKASSA_CRASH names ("attempt_committed:3"), and reads its clock's
// error in seconds from the file that EKASSA_CLOCK names, whenever it is asked.
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

	Asked  = "asked"  // the register told what became of a lost answer, nothing of it is stored
	Proven = "proven" // the proof that nothing was made is on disk, nothing was sent again

	// Beyond a receipt's own way, where there is a cloud.
	Published    = "published"    // a record was handed to the broker, the cloud has not acknowledged it
	Acknowledged = "acknowledged" // the cloud's acknowledgement is on disk
)

// The points of an update, in the order in which a version passes them.
const (
	FloorRaised   = "floor_raised"   // nothing lower is taken any more, no byte of the program is here
	ProgramKept   = "program_kept"   // it is on the disk under a name that nobody looks for
	VersionNamed  = "version_named"  // it has its place, nothing speaks of it
	VersionStaged = "version_staged" // it waits for a quiet moment
	Switched      = "switched"       // it is to run from the next start on
	StartCounted  = "start_counted"  // the launcher has counted a start, the version has not begun
)

// UpdatePoints lists them.
var UpdatePoints = []string{FloorRaised, ProgramKept, VersionNamed, VersionStaged, Switched, StartCounted}

// Points lists them.
var Points = []string{
	Received, Committed, Baseline, AttemptCommitted, FirstByte, LastByte, AnswerRead, Asked, Proven, ResultCommitted,
	Published, Acknowledged,
}
