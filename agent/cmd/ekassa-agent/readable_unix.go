//go:build unix

package main

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"ekassa/systemd"
)

// readable lets the service read its configuration, which root writes and which
// may hold secrets.
func readable(path string) error {
	g, err := user.LookupGroup(systemd.AgentUser)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return fmt.Errorf("read the group %s: %w", systemd.AgentUser, err)
	}
	for p, mode := range map[string]os.FileMode{filepath.Dir(path): 0o750, path: 0o640} {
		if err := os.Chown(p, -1, gid); err != nil {
			return err
		}
		if err := os.Chmod(p, mode); err != nil {
			return err
		}
	}
	return nil
}
