// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backends

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden trees anew; look at what changed")

// checkGolden compares a packet, as Jaeger has it, with a tree that was compared
// with the kernel's source by eye. Both protocols lead to the same.
func checkGolden(t *testing.T, name string, packet tree) {
	got, file := packet.outline(), filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := readText(t, file); got != want {
		t.Errorf("not as in %s, -update writes it anew:\n%s", file, got)
	}
}

// outline draws the tree without what differs from one packet to the next.
func (t tree) outline() string {
	var b strings.Builder
	for _, s := range t.spans {
		fmt.Fprintf(&b, "%s%s", strings.Repeat("  ", len(t.path(s))), s.Name)
		for _, d := range []struct{ format, key string }{
			{": %s", "skbpath.outcome"},
			{" after %s", "skbpath.wait.from"}, {", until %s", "skbpath.wait.to"},
			{"  via %s", "skbpath.via"},
			{"  [%s]", "network.interface.name"}, {"  in netns %s", "skbpath.netns.name"},
			{"  %s", "otel.status_code"}, {" (%s)", "otel.status_description"},
		} {
			if value, ok := s.Tags[d.key]; ok {
				fmt.Fprintf(&b, d.format, value)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
