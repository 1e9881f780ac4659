// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backends

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skbpath/skbpath/test/vm"
)

func TestBackends(t *testing.T) {
	dir := run(t)
	t.Log(dir)
}

func run(t *testing.T) string {
	script, err := os.ReadFile("guest.sh")
	if err != nil {
		t.Fatal(err)
	}
	jaeger := strings.Fields(printed(t, "./build-jaeger"))
	prometheus := strings.Fields(printed(t, "../fetch", "prometheus"))
	result := vm.Test(t, vm.Config{
		Kernel: "6.12", Memory: "4G", Timeout: 8 * time.Minute, Script: string(script), Dir: t.ArtifactDir(),
		Modules: []string{"veth", "nf_tables"},
		Files: map[string]string{
			"/bin/skbpath": os.Getenv("SKBPATH_BINARY"), "/bin/jaeger": jaeger[0], "/bin/prometheus": prometheus[0],
			"/etc/jaeger.yaml": "jaeger.yaml", "/etc/prometheus.yml": "prometheus.yml",
		},
	})
	t.Logf("boot %v, %v", result.Boot, result.Scenarios["script"].Duration)
	t.Log(result.Scenarios["script"].Stdout)
	result.Check(t)
	return filepath.Join(result.Scenarios["script"].Dir)
}

func printed(t *testing.T, name string, args ...string) string {
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
