// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"cmp"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden trees anew; look at what changed")

// checkGoldens compares the trees of two scenarios with those that were compared
// with the kernel's source by eye. Another release of the kernel may differ.
func checkGoldens(t *testing.T, k *kernel, all []*journey) {
	t.Helper()
	for name, c := range map[string]claim{
		"ping":     {transport: "icmp", from: "10.1.1."},
		"nft-drop": {transport: "icmp", from: "10.1.3."},
	} {
		found := selectJourneys(all, func(j *journey) bool {
			return j.Flow.Transport == c.transport && strings.HasPrefix(j.Flow.Source.Address, c.from)
		})
		t.Run(name, func(t *testing.T) { checkGolden(t, k.series+"-"+name, found) })
	}
}

func checkGolden(t *testing.T, name string, found []*journey) {
	slices.SortFunc(found, func(a, b *journey) int { return cmp.Compare(a.Start, b.Start) })
	var parts []string
	for _, j := range found {
		parts = append(parts, j.summary()+"\n"+j.tree())
	}
	// Three packets dropped in the same way are told of once.
	got := strings.Join(slices.Compact(parts), "\n")
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := readText(t, file); got != want {
		t.Errorf("not as in %s, -update writes it anew:\n%s", file, got)
	}
}
