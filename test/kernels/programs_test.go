// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skbpath/skbpath/test/vm"
)

// filterTestGuest is where the guest has the tests of package filter.
const filterTestGuest = "/usr/local/bin/filter.test"

// buildFilterTest builds the tests of the package that compiles filters, so that
// those that load eBPF run on a kernel that may be lost.
func buildFilterTest(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "filter.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "netgo,osusergo",
		"-ldflags", "-linkmode external -extldflags -static", "-o", file, "../../pkg/tracer/internal/filter")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the filter's tests: %v\n%s", err, out)
	}
	return file
}

// programsPart runs them: filters as the kernel runs them, against the reference.
func programsPart() part {
	return part{
		name: "programs",
		build: func(*testing.T, *kernel) vm.Scenario {
			return vm.Scenario{Name: "programs", Script: "SKBPATH_LOAD_EBPF=1 " + filterTestGuest +
				` -test.v -test.run '^(TestKernelAgreesWithReference|TestVerdicts|TestLongExpression)$' >"$OUT/log" 2>&1 || { tail -n 50 "$OUT/log"; exit 1; }` + "\n"}
		},
		check: func(t *testing.T, _ *kernel, r vm.ScenarioResult) {
			log := readText(t, filepath.Join(r.Dir, "log"))
			for _, name := range []string{"TestKernelAgreesWithReference", "TestVerdicts", "TestLongExpression"} {
				if !strings.Contains(log, "--- PASS: "+name+" ") {
					t.Errorf("%s did not pass", name)
				}
			}
			if skipped := strings.Count(log, "--- SKIP"); skipped > 0 {
				t.Errorf("%d tests were skipped", skipped)
			}
			t.Logf("%d tests passed", strings.Count(log, "--- PASS"))
		},
	}
}
