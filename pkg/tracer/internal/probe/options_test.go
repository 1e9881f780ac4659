// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"regexp"
	"testing"
)

// TestWantsFunctions: who chooses among functions is not served with tracepoints.
func TestWantsFunctions(t *testing.T) {
	for name, o := range map[string]Options{
		"backend":   {Backend: BackendKprobe},
		"functions": {Backend: BackendAuto, Functions: regexp.MustCompile("ip_.*")},
		"module":    {Backend: BackendAuto, Modules: []string{"veth"}},
		"modules":   {Backend: BackendAuto, AllModules: true},
	} {
		if !o.wantsFunctions() {
			t.Errorf("%s: tracepoints would do", name)
		}
	}
	if o := (&Options{Source: SourceAuto, Backend: BackendAuto}); o.wantsFunctions() {
		t.Error("tracepoints would not do where nothing is asked for")
	}
}
