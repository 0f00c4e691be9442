//go:build !unsafejournal

package journal

// Every commit is on the disk before it is called one (reliability.md B1).
const (
	synchronous      = "FULL"
	synchronousReads = "2" // how SQLite gives it back
)
