// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skbpath/skbpath/test/vm"
)

// guestTest are the tests of a package that load eBPF: they run on a kernel that may
// be lost.
type guestTest struct {
	name  string // of the package below pkg/tracer/internal
	tests []string
}

func guestTests() []guestTest {
	return []guestTest{
		{"filter", []string{"TestKernelAgreesWithReference", "TestVerdicts", "TestLongExpression"}}, // against the reference
		{"probe", []string{"TestSeriesBounds", "TestPaths", "TestVerifierWork"}},
	}
}

// path is where the guest has it.
func (g guestTest) path() string { return "/usr/local/bin/" + g.name + ".test" }

func (g guestTest) script() string {
	return fmt.Sprintf(`SKBPATH_LOAD_EBPF=1 %[1]s -test.v -test.run '^(%[2]s)$' >"$OUT/%[3]s.log" 2>&1 || { tail -n 50 "$OUT/%[3]s.log"; exit 1; }`+"\n",
		g.path(), strings.Join(g.tests, "|"), g.name)
}

func (g guestTest) build(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), g.name+".test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "netgo,osusergo",
		"-ldflags", "-linkmode external -extldflags -static", "-o", file, "../../pkg/tracer/internal/"+g.name)
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the tests of %s: %v\n%s", g.name, err, out)
	}
	return file
}

// programsPart runs them.
func programsPart() part {
	return part{
		name: "programs",
		build: func(*testing.T, *kernel) vm.Scenario {
			var script strings.Builder
			for _, g := range guestTests() {
				script.WriteString(g.script())
			}
			return vm.Scenario{Name: "programs", Script: script.String()}
		},
		check: func(t *testing.T, _ *kernel, r vm.ScenarioResult) {
			for _, g := range guestTests() {
				g.check(t, readText(t, filepath.Join(r.Dir, g.name+".log")))
			}
		},
	}
}

func (g guestTest) check(t *testing.T, log string) {
	t.Helper()
	for _, name := range g.tests {
		if !strings.Contains(log, "--- PASS: "+name+" ") {
			t.Errorf("%s did not pass", name)
		}
	}
	if skipped := strings.Count(log, "--- SKIP"); skipped > 0 {
		t.Errorf("%d tests of %s were skipped", skipped, g.name)
	}
	t.Logf("%d tests of %s passed", strings.Count(log, "--- PASS"), g.name)
}
