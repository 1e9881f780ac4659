// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package kernels runs the whole binary on stock kernels in virtual machines:
// what is seen of packets whose way is known, and what is not seen of others.
//
// Directory scenarios has the traffic, as scripts that can be read and run by
// hand; directory guest has what runs them. What must be seen is told in Go, from
// what the kernel's source says, never from what skbpath printed before.
//
//	go test ./test/kernels -run 'TestKernels/^6.12$' -parts ladder -scenarios ping,tcp
//	SKBPATH_KEEP=DIR go test ./test/kernels …        keeps what the machines leave
//	go test ./test/kernels … -results DIR/6.12       checks that again, and boots nothing
package kernels

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skbpath/skbpath/test/hidden"
	"github.com/skbpath/skbpath/test/vm"
)

var (
	only          = flag.String("parts", "", "run only these parts, e.g. ladder,books")
	onlyScenarios = flag.String("scenarios", "", "run only these scenarios of the ladder, e.g. ping,copies")
	results       = flag.String("results", "", "boot nothing, check what SKBPATH_KEEP kept of a kernel in this directory")
)

// kernel is one that the binary must work on, and by what mechanism.
type kernel struct {
	series  string
	backend string
	parts   []part
}

// part is a script that runs in the virtual machine, and a test of its results.
type part struct {
	name  string
	build func(*testing.T, *kernel) vm.Scenario
	check func(*testing.T, *kernel, vm.ScenarioResult)
	// mayHide is how many hops interrupts may hide before the part runs again, and
	// wantsNone how many runs there are to see none hidden at all.
	mayHide, wantsNone int
}

// partTimeout is several times what a part takes that has the machine to itself.
const partTimeout = 15 * time.Minute

func kernelsUnderTest() []kernel {
	return []kernel{
		{series: "6.1", backend: "kprobe", parts: []part{
			usagePart(olderUsageCases()), ladderPart(), booksPart(), stressPart(), descendantsPart(), containerPart(),
		}},
		{series: "6.12", backend: "kprobe-multi", parts: []part{
			ladderPart(), booksPart(), stressPart(), filtersPart(),
			optionsPart("options", optionCases(), "ping", "fragment", "nft-drop", "dnat", "bridge", "parked"), descendantsPart(),
			keptPart(), usagePart(usageCases()), containerPart(), programsPart(),
		}},
		{series: "7", backend: "kprobe-multi", parts: []part{
			ladderPart(), booksPart(), stressPart(), optionsPart("options", optionCases()[:1], "dnat"), descendantsPart(),
			returnsPart(),
		}},
	}
}

func TestKernels(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: no virtual machines with -short; run `go test` without it")
	}
	for _, k := range kernelsUnderTest() {
		k.parts = slices.DeleteFunc(k.parts, func(p part) bool {
			return *only != "" && !slices.Contains(strings.Split(*only, ","), p.name)
		})
		t.Run(k.series, func(t *testing.T) {
			if *results != "" {
				k.checkKept(t, *results)
				return
			}
			k.test(t, findBinary(t))
		})
	}
}

// checkKept checks what is there of an earlier run.
func (k *kernel) checkKept(t *testing.T, dir string) {
	for _, p := range k.parts {
		t.Run(p.name, func(t *testing.T) { p.check(t, k, vm.ScenarioResult{Dir: filepath.Join(dir, p.name)}) })
	}
}

// findBinary returns the program to test.
func findBinary(t *testing.T) string {
	t.Helper()
	binary := os.Getenv("SKBPATH_BINARY")
	if binary == "" {
		binary = filepath.Join("..", "..", "bin", "skbpath")
	}
	binary, err := filepath.Abs(binary)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("%v: run make build, or name a binary in SKBPATH_BINARY", err)
	}
	return binary
}

func (k *kernel) test(t *testing.T, binary string) {
	cfg := vm.Config{
		Kernel:  k.series,
		Modules: modules(),
		Tools:   []string{"socat", "capsh", "iptables-legacy", "iptables-nft"},
		Files:   guestFiles(t, binary),
		Memory:  "3G",
		SMP:     2,
		Wire:    true,
		Timeout: 3*partTimeout + stressTimeout(),
		Dir:     resultDir(t),
		Append:  "rcupdate.rcu_expedited=1", // detaching 1,500 kprobes waits for as many grace periods
	}
	for _, p := range k.parts {
		cfg.Scenarios = append(cfg.Scenarios, p.build(t, k))
		if p.name == "programs" {
			for _, g := range guestTests() {
				cfg.Files[g.path()] = g.build(t)
			}
		}
	}
	r := bootVM(t, cfg)
	for _, p := range k.parts {
		t.Run(p.name, func(t *testing.T) {
			s := k.repeatDisturbed(t, cfg, p, r.Scenarios[p.name])
			t.Logf("%v:\n%s", s.Duration.Round(time.Second), s.Stdout)
			if s.ExitCode != 0 || s.TimedOut {
				t.Fatalf("exit code %d, timed out %t", s.ExitCode, s.TimedOut)
			}
			p.check(t, k, s)
		})
	}
	if t.Failed() && len(r.Warnings) > 0 {
		t.Logf("console:\n%s", r.Console)
	}
}

func bootVM(t *testing.T, cfg vm.Config) *vm.Result {
	t.Helper()
	start := time.Now()
	r := vm.Test(t, cfg)
	t.Logf("%s: booted in %v, done after %v", r.Release, r.Boot.Round(time.Second), time.Since(start).Round(time.Second))
	if len(r.Warnings) > 0 {
		t.Errorf("the kernel complains: %q", r.Warnings)
	}
	return r
}

// attemptsUntold is how often a part may fail where the kernel does not count what
// interrupts hide: for perf kprobes 6.1 does not, 6.12 does (trace_call_bpf).
const attemptsUntold = 4

// repeatDisturbed runs a part again, in a machine of its own, as long as interrupts
// hide more than it may bear.
func (k *kernel) repeatDisturbed(t *testing.T, cfg vm.Config, p part, s vm.ScenarioResult) vm.ScenarioResult {
	t.Helper()
	for attempt := 1; ; attempt++ {
		hops := hiddenHops(t, s)
		switch {
		case k.backend == "kprobe" && (attempt == attemptsUntold || k.passes(t, p, s)):
			return s
		case k.backend == "kprobe":
			t.Log("RUNS AGAIN: it fails, and this kernel does not tell whether interrupts hid hops")
		case hops == 0 || hops <= p.mayHide && attempt >= p.wantsNone:
			return s
		case p.wantsNone > 0 && k.passes(t, p, s, "-exact"):
			t.Logf("interrupts hid %d hops, and everything is exact all the same", hops)
			return s
		case p.mayHide == 0 && k.passes(t, p, s):
			t.Logf("interrupts hid %d hops, and none of those that are claimed", hops)
			return s
		case attempt == hidden.Attempts:
			t.Fatalf("interrupts hid hops in each of %d runs", attempt)
		default:
			t.Logf("RUNS AGAIN: interrupts hid %d hops, so that packets may be missing", hops)
		}
		again := cfg
		again.Dir = filepath.Join(cfg.Dir, fmt.Sprintf("again-%d", attempt))
		if err := os.Mkdir(again.Dir, 0o755); err != nil {
			t.Fatal(err)
		}
		again.Scenarios = slices.DeleteFunc(slices.Clone(cfg.Scenarios), func(other vm.Scenario) bool { return other.Name != p.name })
		s = bootVM(t, again).Scenarios[p.name]
	}
}

// passes checks the results of a part in another process, where a failure is none yet.
func (k *kernel) passes(t *testing.T, p part, s vm.ScenarioResult, arguments ...string) bool {
	t.Helper()
	if s.ExitCode != 0 || s.TimedOut {
		return false
	}
	name := fmt.Sprintf("^TestKernels$/^%s$/^%s$", regexp.QuoteMeta(k.series), p.name)
	arguments = append([]string{"-test.run", name, "-parts", p.name, "-scenarios", *onlyScenarios, "-results", filepath.Dir(s.Dir)}, arguments...)
	check := exec.CommandContext(t.Context(), os.Args[0], arguments...)
	out, err := check.CombinedOutput()
	if err != nil {
		t.Logf("with hops hidden: %v\n%s", err, out)
	}
	return err == nil
}

// hiddenHops: of the part that keeps its metrics before the end, by then; else of
// all skbpaths that it ran.
func hiddenHops(t *testing.T, s vm.ScenarioResult) int {
	t.Helper()
	files := []string{filepath.Join(s.Dir, "metrics")}
	if _, err := os.Stat(files[0]); err != nil {
		files, err = filepath.Glob(filepath.Join(s.Dir, "*.metrics"))
		if err != nil {
			t.Fatal(err)
		}
	}
	if s.ExitCode != 0 || s.TimedOut {
		return 0 // which is going to be told
	}
	hops, err := hidden.Hops(files...)
	if err != nil {
		t.Fatal(err)
	}
	return hops
}

// modules are those that the scenarios need.
func modules() []string {
	return []string{
		"veth", "bridge", "8021q", "dummy", "tun",
		"sch_netem", "sch_tbf", "sch_fq", "sch_ingress", "cls_flower", "act_gact", "act_mirred",
		"vxlan", "ipip", "ip_gre",
		"nf_tables", "nft_chain_nat", "nft_nat", "nft_ct", "nft_reject_ipv4", "nft_reject_ipv6", "nft_dup_ipv4", "iptable_filter", "xt_tcpudp",
		"vsock_loopback", "virtio_net", "vhost_net",
	}
}

// resultDir is where the files from the guest go. SKBPATH_KEEP names a directory
// for those that are to outlive the test.
func resultDir(t *testing.T) string {
	t.Helper()
	keep := os.Getenv("SKBPATH_KEEP")
	if keep == "" {
		return t.TempDir()
	}
	dir := filepath.Join(keep, filepath.Base(t.Name()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// guestFiles is the program and the scripts, by their places in the guest.
func guestFiles(t *testing.T, binary string) map[string]string {
	t.Helper()
	files := map[string]string{
		"/usr/local/bin/skbpath":  binary,
		"/usr/local/bin/packets":  buildPackets(t),
		"/etc/services":           filepath.Join("guest", "services"),
		"/usr/local/bin/await":    filepath.Join("guest", "await"),
		"/usr/local/bin/received": filepath.Join("guest", "received"),
	}
	for dir, in := range map[string]string{"guest": "/guest/", "scenarios": "/scenario/"} {
		scripts, err := filepath.Glob(filepath.Join(dir, "*.sh"))
		if err != nil {
			t.Fatal(err)
		}
		for _, script := range scripts {
			files[in+filepath.Base(script)] = script
		}
	}
	return files
}

// buildPackets builds the program that sends what the usual tools do not.
func buildPackets(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "packets")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", file, "./packets")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build packets: %v\n%s", err, out)
	}
	return file
}

// ladderPart follows every packet of every scenario with one skbpath.
func ladderPart() part {
	return part{
		name: "ladder",
		build: func(*testing.T, *kernel) vm.Scenario {
			var names []string
			for _, s := range chosenScenarios() {
				names = append(names, s.name)
			}
			return vm.Scenario{Name: "ladder", Script: "set -- " + strings.Join(names, " ") + "\n. /guest/ladder.sh\n"}
		},
		check: checkLadder,
	}
}

func chosenScenarios() []scenario {
	return slices.DeleteFunc(ladder(), func(s scenario) bool {
		return *onlyScenarios != "" && !slices.Contains(strings.Split(*onlyScenarios, ","), s.name)
	})
}

func checkLadder(t *testing.T, k *kernel, r vm.ScenarioResult) {
	file := func(name string) string { return filepath.Join(r.Dir, name) }
	log := readText(t, file("all.log"))
	if !strings.Contains(log, "backend="+k.backend+" ") || !strings.Contains(log, " refused=0 ") {
		t.Errorf("not attached by %s with nothing refused:\n%s", k.backend, log)
	}
	if got := strings.TrimSpace(readText(t, file("all.exit"))); got != "0" {
		t.Errorf("exit status %s after SIGTERM:\n%s", got, log)
	}
	if before, after := readText(t, file("enabled-before")), readText(t, file("enabled-after")); before != after {
		t.Errorf("functions left attached:\n%s", after)
	}
	all := decode(t, file("all.json"))
	t.Logf("%d journeys", len(all))
	checkForms(t, all)
	checkLineage(t, all)
	metrics := parseMetrics(t, file("metrics"))
	checkLosses(t, metrics)
	for _, s := range chosenScenarios() {
		t.Run(s.name, func(t *testing.T) {
			status := strings.TrimSpace(readText(t, file(s.name+".status")))
			if status != "0" {
				t.Fatalf("the scenario ended with %s:\n%s", status, readText(t, file(s.name+".out")))
			}
			s.check(t, k, r.Dir, all, metrics)
		})
	}
	if *onlyScenarios != "" {
		return
	}
	t.Run("endings", func(t *testing.T) { checkEndings(t, k, all) })
	if k.series == "6.12" {
		t.Run("golden", func(t *testing.T) { checkGoldens(t, k, all) })
	}
}

func (s *scenario) check(t *testing.T, k *kernel, dir string, all []*journey, metrics families) {
	for _, c := range s.claims {
		c.end = c.end.at(k.series)
		t.Run(c.what, func(t *testing.T) { c.check(t, all) })
	}
	for _, d := range s.drops {
		d.check(t, metrics)
	}
	for _, d := range s.dropped {
		t.Run(d.what, func(t *testing.T) { d.check(t, k, dir, all, metrics) })
	}
}

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
