// SPDX-License-Identifier: Apache-2.0

package hidden

import (
	"os"
	"path/filepath"
	"testing"
)

func TestHops(t *testing.T) {
	const other = "skbpath_lost_total{cause=\"ring_full\",what=\"hop\"} 9\n"
	for _, c := range []struct {
		name string
		text []string
		want int
		fail bool
	}{
		{"none", []string{other + `skbpath_lost_total{cause="recursion",what="hop"} 0` + "\n"}, 0, false},
		{"of two", []string{`skbpath_lost_total{cause="recursion",what="hop"} 32` + "\n" + other, other + `skbpath_lost_total{cause="recursion",what="hop"} 4` + "\n"}, 36, false},
		{"untold", []string{other}, 0, true},
		{"no number", []string{`skbpath_lost_total{cause="recursion",what="hop"} many` + "\n"}, 0, true},
		{"too large", []string{`skbpath_lost_total{cause="recursion",what="hop"} 99999999999999999999` + "\n"}, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var files []string
			for range c.text {
				files = append(files, filepath.Join(t.TempDir(), "metrics"))
			}
			for i, text := range c.text {
				if err := os.WriteFile(files[i], []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := Hops(files...)
			if got != c.want && err == nil || (err != nil) != c.fail {
				t.Errorf("%d hops, error %v", got, err)
			}
		})
	}
	if _, err := Hops(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("no error for a missing file")
	}
}
