// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package backends proves that what skbpath exports arrives: in a virtual
// machine, packets become traces in a real Jaeger, over both protocols of OTLP,
// and counters in a real Prometheus.
//
// The dashboards and rules meet a real Prometheus too, on this machine.
//
// guest.sh is what happens in the machine; it saves what the backends answer,
// and the tests check that against the journeys that skbpath printed.
//
//	go test ./test/backends                      needs ../../bin/skbpath, or SKBPATH_BINARY
//	go test -artifacts -outputdir DIR ./test/…   keeps all answers and logs
//	go test ./test/backends -update              writes the golden trees anew
package backends

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skbpath/skbpath/test/hidden"
	"github.com/skbpath/skbpath/test/vm"
)

func TestBackends(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: no virtual machine, no Jaeger and no Prometheus with -short; run `go test` without it")
	}
	prometheus, promtool := fetchPrometheus(t)
	dir := boot(t, buildJaeger(t), prometheus)
	for _, name := range []string{"grpc", "http"} {
		t.Run(name, func(t *testing.T) {
			run := filepath.Join(dir, name)
			t.Run("end", func(t *testing.T) { checkEnd(t, run) })
			t.Run("traces", func(t *testing.T) { checkTraces(t, run, name) })
			t.Run("prometheus", func(t *testing.T) { checkPrometheus(t, run) })
			t.Run("exemplars", func(t *testing.T) { checkExemplars(t, run) })
			if name == shownJob {
				t.Run("shown", func(t *testing.T) { checkShown(t, run) })
			}
			t.Run("promtool", func(t *testing.T) { checkMetrics(t, run, promtool) })
		})
	}
}

// boot runs guest.sh, again if chance hid packets, and returns the directory with
// what it saved.
func boot(t *testing.T, jaeger, prometheus string) string {
	rules := guestRules(t)
	for attempt := 1; ; attempt++ {
		dir := filepath.Join(t.ArtifactDir(), strconv.Itoa(attempt))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		result := bootOnce(t, vm.Config{
			Kernel: "6.12", Memory: "3G", Timeout: 10 * time.Minute, Dir: dir,
			Modules: []string{"veth", "nf_tables"},
			Files: map[string]string{
				"/bin/skbpath":        cmp.Or(os.Getenv("SKBPATH_BINARY"), "../../bin/skbpath"),
				"/bin/jaeger":         jaeger,
				"/bin/prometheus":     prometheus,
				"/etc/jaeger.yaml":    "jaeger.yaml",
				"/etc/prometheus.yml": "prometheus.yml",
				"/etc/recording.yml":  filepath.Join(rules, "recording.yml"),
				"/etc/alerts.yml":     filepath.Join(rules, "alerts.yml"),
				"/etc/expressions":    filepath.Join(rules, "expressions"),
			},
			Script: readText(t, "guest.sh"),
		})
		hops := hiddenHops(t, result.Dir)
		if hops > 0 && attempt < hidden.Attempts {
			t.Logf("RUNS AGAIN: interrupts hid %d hops, so that packets may be missing", hops)
			continue
		}
		if result.ExitCode != 0 || result.TimedOut || hops > 0 {
			t.Errorf("exit code %d, timed out %t, %d hops hidden", result.ExitCode, result.TimedOut, hops)
			showLogs(t, result.Dir)
			t.FailNow()
		}
		return result.Dir
	}
}

func bootOnce(t *testing.T, cfg vm.Config) vm.ScenarioResult {
	result := vm.Test(t, cfg)
	script := result.Scenarios["script"]
	t.Logf("boot %v, script %v\n%s", result.Boot, script.Duration, script.Stdout)
	for _, warning := range result.Warnings {
		t.Errorf("the kernel warns: %s", warning)
	}
	return script
}

// hiddenHops is of both runs of skbpath, or as many as there were.
func hiddenHops(t *testing.T, dir string) int {
	files, err := filepath.Glob(filepath.Join(dir, "*", "metrics.txt"))
	if err != nil {
		t.Fatal(err)
	}
	hops, err := hidden.Hops(files...)
	if err != nil {
		t.Log(err) // of an skbpath that did not get as far as that
	}
	return hops
}

// showLogs shows the logs of everything that ran in the guest.
func showLogs(t *testing.T, dir string) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, filepath.Join(dir, "prometheus.log")) {
		text, err := os.ReadFile(file)
		t.Logf("%s: %v\n%s", file, err, text)
	}
}

// checkEnd checks that skbpath found its backend missing at first, and ended
// well when it was told to.
func checkEnd(t *testing.T, dir string) {
	log, status := readText(t, dir, "log"), strings.TrimSpace(readText(t, dir, "exit"))
	if status != "0" {
		t.Errorf("exit status %s", status)
	}
	if !strings.Contains(log, "OTLP endpoint does not answer") || strings.Contains(log, "level=ERROR") {
		t.Errorf("the log has no warning about the endpoint, or an error:\n%s", log)
	}
}

func buildJaeger(t *testing.T) string {
	return strings.TrimSpace(printed(t, 45*time.Minute, "./build-jaeger"))
}

func fetchPrometheus(t *testing.T) (prometheus, promtool string) {
	paths := strings.Fields(printed(t, 15*time.Minute, "../fetch", "prometheus"))
	if len(paths) != 2 {
		t.Fatalf("../fetch prometheus prints %q, want two programs", paths)
	}
	return paths[0], paths[1]
}

// printed returns what a program prints; what it complains about is shown.
func printed(t *testing.T, limit time.Duration, name string, args ...string) string {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(out)
}
