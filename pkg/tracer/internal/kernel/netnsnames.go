// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

const (
	// netnsDirectory is where "ip netns" and the runtimes of containers keep
	// named namespaces.
	netnsDirectory = "/run/netns"

	// maxNetns bounds the names read.
	maxNetns = 4096

	// netnsLook is how often the directory is looked at for a change.
	netnsLook = 10 * time.Millisecond
	// netnsAge is how long names are believed even if it has not changed: a
	// namespace is put on a name a moment after the name is made.
	netnsAge = time.Second
)

// NetnsNames tells the names of network namespaces, as "ip netns" has them, by
// their inode numbers. Only Losses is safe for concurrent use.
type NetnsNames struct {
	directory string
	device    uint64 // of the file system that namespaces are files of
	now       func() time.Time

	names   map[uint32]string
	looked  time.Time
	read    time.Time
	changed time.Time // of the directory, when it was read
	unread  atomic.Uint64
}

// NewNetnsNames returns the names below /run/netns, to be read when asked for.
func NewNetnsNames() (*NetnsNames, error) {
	var own syscall.Stat_t
	if err := syscall.Stat("/proc/self/ns/net", &own); err != nil {
		return nil, fmt.Errorf("look at network namespace: %w", err)
	}
	return &NetnsNames{directory: netnsDirectory, device: own.Dev, now: time.Now}, nil
}

// Name returns the name of a namespace, "" if it has none.
func (n *NetnsNames) Name(inode uint32) string {
	if now := n.now(); now.Sub(n.looked) >= netnsLook {
		n.look(now)
	}
	return n.names[inode]
}

// Complete adds the names of namespaces to hops, most of which are in the same
// as the hop before.
func (n *NetnsNames) Complete(hops []journey.Hop) {
	var inode uint32
	var name string
	for i := range hops {
		if hops[i].Netns != inode {
			inode = hops[i].Netns
			name = n.Name(inode)
		}
		hops[i].NetnsName = name
	}
}

// look reads the names anew if the directory has changed or they are old.
func (n *NetnsNames) look(now time.Time) {
	n.looked = now
	info, err := os.Stat(n.directory)
	if err != nil { // nobody has named a namespace yet
		n.names = nil
		return
	}
	if info.ModTime().Equal(n.changed) && now.Sub(n.read) < netnsAge {
		return
	}
	n.read, n.changed = now, info.ModTime()
	n.names = make(map[uint32]string, len(n.names))
	n.readNames()
}

func (n *NetnsNames) readNames() {
	directory, err := os.Open(n.directory)
	if err != nil {
		return
	}
	defer directory.Close()
	names, _ := directory.Readdirnames(maxNetns + 1)
	if len(names) > maxNetns {
		names = names[:maxNetns]
		n.unread.Add(1)
	}
	slices.Sort(names) // of several names of one namespace, always the same wins
	for _, name := range names {
		var stat syscall.Stat_t
		err := syscall.Stat(filepath.Join(n.directory, name), &stat)
		if err != nil || stat.Dev != n.device { // a name with no namespace on it
			continue
		}
		if inode := uint32(stat.Ino); n.names[inode] == "" {
			n.names[inode] = name
		}
	}
}

// Losses counts how often there were more names than are read.
func (n *NetnsNames) Losses() []journey.Loss {
	return []journey.Loss{{What: "netns", Cause: "name_limit", Count: n.unread.Load()}}
}
