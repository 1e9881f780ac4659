// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vm

import (
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cavaliergopher/cpio"

	"github.com/skbpath/skbpath/test/vm/plan"
)

func TestSoftNeeds(t *testing.T) {
	for list, want := range map[string]string{
		"pre: a b post: c": "a b",
		"post: c pre: d":   "d",
		"post: c":          "",
		"":                 "",
	} {
		if got := strings.Join(softNeeds([]string{list}), " "); got != want {
			t.Errorf("softNeeds(%q) = %q, want %q", list, got, want)
		}
	}
}

func TestModuleName(t *testing.T) {
	for file, want := range map[string]string{
		"kernel/net/sched/sch_netem.ko.xz": "sch_netem", "nf-tables": "nf_tables", "/a/virtio-rng.ko": "virtio_rng",
	} {
		if got := moduleName(file); got != want {
			t.Errorf("moduleName(%q) = %q, want %q", file, got, want)
		}
	}
}

func TestBuiltinModulesAreSkipped(t *testing.T) {
	m := &modules{builtin: map[string]bool{"virtio_pci": true}}
	if err := m.add("virtio-pci"); err != nil || len(m.order) != 0 {
		t.Errorf("%v, %v", m.order, err)
	}
}

func TestWarnings(t *testing.T) {
	log := "fine\n[ 1.0] WARNING: CPU: 0 PID: 1 at x\nmore\n[ 2.0] BUG: scheduling while atomic\n"
	if got := warnings(log); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// TestConsole splits the marker over two writes.
func TestConsole(t *testing.T) {
	c := &console{start: time.Now().Add(-time.Second)}
	for _, part := range []string{"a\r\n" + plan.Ready[:4], plan.Ready[4:], "\r\n"} {
		if _, err := io.WriteString(c, part); err != nil {
			t.Fatal(err)
		}
	}
	if c.boot < time.Second || c.String() != "a\n"+plan.Ready+"\n" {
		t.Errorf("boot %v, text %q", c.boot, c)
	}
}

func TestInitramfs(t *testing.T) {
	r := newInitramfs()
	r.addData("/a/b/c", 0o600, []byte("data"))
	r.addLink("/a/link", "b/c")
	var out bytes.Buffer
	if err := r.write(&out); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	in := cpio.NewReader(&out)
	for h, err := in.Next(); err == nil; h, err = in.Next() {
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		got[h.Name] = string(data) + h.Linkname
	}
	if want := map[string]string{"a": "", "a/b": "", "a/b/c": "data", "a/link": "b/c"}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestAddProgram adds this very test, wherever it gets its libraries from.
func TestAddProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := newInitramfs()
	if err := r.addProgram("/bin/self", self); err != nil {
		t.Fatal(err)
	}
	if !r.has("/bin/self") {
		t.Errorf("entries %v", slices.Sorted(maps.Keys(r.entries)))
	}
}

func TestSaveFileStaysInside(t *testing.T) {
	dir := t.TempDir()
	if err := saveFile(dir, "../outside", strings.NewReader("")); err == nil {
		t.Error("a file was written outside")
	}
	if err := saveFile(dir, "a/b", strings.NewReader("x")); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "a", "b")); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
}
