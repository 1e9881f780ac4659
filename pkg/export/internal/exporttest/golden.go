// SPDX-License-Identifier: Apache-2.0

// Package exporttest holds what the tests of all sinks share: hand-written
// journeys and the comparison with golden files.
package exporttest

import (
	"os"
	"path/filepath"
	"testing"
)

// Golden compares got with testdata/name. With UPDATE_GOLDEN=1 in the
// environment it writes the file instead.
func Golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (UPDATE_GOLDEN=1 writes it)", err)
	}
	if got != string(want) {
		t.Errorf("%s differs\n--- got\n%s\n--- want\n%s", path, got, want)
	}
}
