//go:build unix

package main

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// canReplace: a process can go on as another program.
const canReplace = true

// replace goes on as another program, with these arguments. It returns where that
// could not be begun.
func replace(program string, environment []string) error {
	return syscall.Exec(program, append([]string{program}, os.Args[1:]...), environment)
}

// hand has sockets stay open, under the same numbers, in the program that goes on.
func hand(sockets []*os.File) error {
	for _, s := range sockets {
		if _, err := unix.FcntlInt(s.Fd(), unix.F_SETFD, 0); err != nil {
			return err
		}
	}
	return nil
}
