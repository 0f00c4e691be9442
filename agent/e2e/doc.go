// Package e2e tests the program from its front doors: the real binaries, a real
// journal on the disk, simulated registers on real sockets, and tills that hold
// every answer against the OpenAPI document. What a register's ledger holds is
// the truth; everything that tills were told is judged by it.
//
// Each test has loopback addresses of its own, so that they run side by side
// and a program that is killed comes back where it was. Those of full disks and
// strangers' folders need root, that of the sync needs strace; they fail, and
// are not skipped, where these are missing.
package e2e
