//go:build unix

package main

import (
	"os"
	"syscall"
)

// canReplace: a process can go on as another program.
const canReplace = true

// replace goes on as another program, with these arguments. It returns where that
// could not be begun.
func replace(program string, environment []string) error {
	return syscall.Exec(program, append([]string{program}, os.Args[1:]...), environment)
}
