package torture

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"
)

// disk is a file system in a file, whose power can be cut.
type disk struct{ image, mount string }

// newDisk makes one of the kind, and mounts it.
func newDisk(dir, fs string) (*disk, error) {
	if fs != "ext4" && fs != "xfs" {
		return nil, fmt.Errorf("make a disk: file system is %q: use ext4 or xfs", fs)
	}
	d := &disk{filepath.Join(dir, "disk.img"), filepath.Join(dir, "disk")}
	if err := os.Mkdir(d.mount, 0o700); err != nil {
		return nil, err
	}
	f, err := os.Create(d.image)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(1<<30), f.Close()); err != nil {
		return nil, err
	}
	if err := tool("mkfs."+fs, "-q", d.image); err != nil {
		return nil, err
	}
	if err := tool("mount", "--bind", d.mount, d.mount); err != nil {
		return nil, err
	}
	if err := errors.Join(tool("mount", "--make-shared", d.mount), d.on()); err != nil {
		return nil, errors.Join(err, tool("umount", d.mount))
	}
	return d, nil
}

// remove unmounts it for good.
func (d *disk) remove() error { return errors.Join(d.off(), tool("umount", d.mount)) }

// on mounts it, which replays the file system's log.
func (d *disk) on() error { return tool("mount", "-o", "loop", d.image, d.mount) }

// off unmounts it; nobody may have files open there. It waits until nobody has it
// any more, or the next mount would only find the dead one again: a mount namespace that
// was made meanwhile on this machine has a copy of every mount. That its place is shared
// takes the copies away with it.
func (d *disk) off() error {
	if err := tool("umount", d.mount); err != nil {
		return err
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		out, err := exec.Command("losetup", "-j", d.image).Output()
		if err != nil {
			return fmt.Errorf("look for the loop device of %s: %w", d.image, err)
		}
		if len(bytes.TrimSpace(out)) == 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("unmount %s: somebody keeps it: %s", d.mount, bytes.TrimSpace(out))
		}
	}
}

// goingDown is the shutdown call of ext4 and xfs, and noLogFlush how: nothing
// that is not on the disk yet gets there.
const (
	goingDown  = 0x8004587D
	noLogFlush = 2
)

// cut cuts the power. From the moment in which this returns nothing is written.
func (d *disk) cut() error {
	f, err := os.Open(d.mount)
	if err != nil {
		return err
	}
	defer f.Close()
	how := uint32(noLogFlush)
	if _, _, no := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), goingDown, uintptr(unsafe.Pointer(&how))); no != 0 {
		return fmt.Errorf("cut the power of %s: %w", d.mount, no)
	}
	return nil
}

func tool(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s; this needs root, loop devices and %s", name, err, bytes.TrimSpace(out), name)
	}
	return nil
}
