// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
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
	info, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf("network namespace %q: %w", netns, err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("network namespace %q: no inode number", netns)
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
