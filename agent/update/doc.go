// Package update decides which version of the program runs.
//
// A release is a manifest (wire.Release) with detached Ed25519 signatures, and the
// programs that it names by size and SHA-256. The installed package's program is
// the launcher: at each start it looks into the folder "update" below the data
// folder, and gives its place to the version there, where that is higher than its
// own and still what was signed. The service needs no right to replace its own
// program for that, and a package that is newer than every update wins by itself.
//
// The life of a version: staged (verified, on the disk, the running program waits
// for a quiet moment), on trial (it runs, and has to prove itself within some starts
// and minutes), applied. One that does not prove itself is left for the version
// before, without anybody's help, and the outcome is kept for people to read.
//
// What is kept in the folder:
//
//	state.json      State: the one place that says what runs
//	floor.json      the highest version that was trusted, for each key
//	lock            whoever changes these holds it
//	1.2.0/          release.json, release.sig and the program of a version
//
// Each change is one rename of one file after everything that it speaks of is on
// the disk, so that a power cut leaves the old word or the new one.
package update
