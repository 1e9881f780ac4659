// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// named returns names below a new directory, where files stand for namespaces,
// and the clock that they go by.
func named(t *testing.T) (*NetnsNames, *time.Time) {
	t.Helper()
	n, err := NewNetnsNames()
	if err != nil {
		t.Fatal(err)
	}
	n.directory = filepath.Join(t.TempDir(), "netns")
	now := time.Now()
	n.now = func() time.Time { return now }
	return n, &now
}

// add makes a file of that name and returns its inode number.
func (n *NetnsNames) add(t *testing.T, name string) uint32 {
	t.Helper()
	path := filepath.Join(n.directory, name)
	if err := os.MkdirAll(n.directory, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var stat syscall.Stat_t
	if err := syscall.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	n.device = stat.Dev
	return uint32(stat.Ino)
}

func TestNetnsNames(t *testing.T) {
	n, now := named(t)
	if got := n.Name(42); got != "" {
		t.Errorf("without the directory: %q", got)
	}
	left := n.add(t, "left")
	if got := n.Name(left); got != "" {
		t.Errorf("looked again at once: %q", got)
	}
	*now = now.Add(netnsLook)
	if got := n.Name(left); got != "left" {
		t.Errorf("a new namespace is %q", got)
	}
	if err := os.Rename(filepath.Join(n.directory, "left"), filepath.Join(n.directory, "right")); err != nil {
		t.Fatal(err)
	}
	*now = now.Add(netnsAge)
	hops := []journey.Hop{{Netns: left}, {Netns: left}, {Netns: 1}, {}, {Netns: left}}
	n.Complete(hops)
	for i, want := range []string{"right", "right", "", "", "right"} {
		if hops[i].NetnsName != want {
			t.Errorf("hop %d is in %q, want %q", i, hops[i].NetnsName, want)
		}
	}
	n.device++ // as if the files were no namespaces
	*now = now.Add(netnsAge)
	if got := n.Name(left); got != "" {
		t.Errorf("a file that is no namespace is %q", got)
	}
}

func TestNetnsNamesAreBounded(t *testing.T) {
	n, _ := named(t)
	for i := range maxNetns + 2 {
		n.add(t, fmt.Sprint(i))
	}
	n.Name(1)
	if len(n.names) != maxNetns || n.unread.Load() != 1 {
		t.Errorf("%d names, %v", len(n.names), n.Losses())
	}
}
