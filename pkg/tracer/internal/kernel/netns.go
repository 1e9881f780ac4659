// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// NetnsInode returns the inode number of a network namespace, given as a path
// (/proc/1/ns/net), as a name below /run/netns, or as inode:NUMBER.
func NetnsInode(netns string) (uint32, error) {
	if number, ok := strings.CutPrefix(netns, "inode:"); ok {
		inode, err := strconv.ParseUint(number, 10, 32)
		if err != nil || inode == 0 {
			return 0, fmt.Errorf("network namespace %q: not an inode number", netns)
		}
		return uint32(inode), nil
	}
	path := netns
	if !strings.Contains(netns, "/") {
		path = "/run/netns/" + netns
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("network namespace %q: %w", netns, err)
	}
	defer f.Close()
	if kind, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		return 0, fmt.Errorf("network namespace %q: %s is no network namespace", netns, path)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		return 0, fmt.Errorf("network namespace %q: %w", netns, err)
	}
	return uint32(stat.Ino), nil
}

// NameWords returns an interface name as the two words that the eBPF programs
// compare.
func NameWords(name string) [2]uint64 {
	var bytes [16]byte
	copy(bytes[:], name)
	return [2]uint64{binary.NativeEndian.Uint64(bytes[:8]), binary.NativeEndian.Uint64(bytes[8:])}
}
