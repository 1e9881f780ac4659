// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skbpath/skbpath/test/vm"
)

// What TestThroughput sends each time.
const (
	repetitions   = 5
	datagramsSent = 10000
	mebibytesSent = 64
	timesUntraced = 5 // as much without tracer, which is soon done
)

// TestThroughput prints how much longer the same packets take on two CPUs by the
// clock, which is noisy: virtual CPUs run when the host lets them.
func TestThroughput(t *testing.T) {
	for _, kernel := range kernels() {
		t.Run(kernel, func(t *testing.T) {
			r := vm.Test(t, vm.Config{
				Kernel: kernel, SMP: 2, Modules: []string{"veth"}, Timeout: 50 * time.Minute,
				Memory: "2G", Files: programs(t), Scenarios: throughputScenarios(),
			})
			r.Check(t)
			var text strings.Builder
			for _, s := range throughputScenarios() {
				text.WriteString(r.Scenarios[s.Name].Stdout)
			}
			m := make(measurements)
			for _, row := range throughputRows() {
				m.read(row.row, linesOf(row, text.String()))
				m.checkThroughput(t, row.row)
			}
			t.Logf("%s\n%s", r.Release, m.throughputTable())
		})
	}
}

// throughputRows begin with the one that the others are compared with.
func throughputRows() []tracer {
	const all = "icmp or udp or tcp"
	return append([]tracer{{row: rowNone}}, named([]tracer{
		{"skbpath, only counted", "skbpath", "--print=none " + all},
		{"skbpath, all printed as JSON", "skbpath", "--print=json " + all},
		{"pwru, matching", "pwru", all},
	})...)
}

// timesSent is how often a row sends what is to be sent.
func timesSent(row string) int {
	if row == rowNone {
		return timesUntraced
	}
	return 1
}

// throughputLoads are kinds of lines and what prints them. Two senders are done
// when the later one is.
func throughputLoads(times int) []struct{ kind, script string } {
	udp := fmt.Sprintf("load -wait -kind udp -batches 1 -batch %d", times*datagramsSent)
	return []struct{ kind, script string }{
		{"one sender", udp},
		{"two senders", fmt.Sprintf("{ %s & %s -port 9998; wait; }", udp, udp)},
		{"tcp", fmt.Sprintf("load -wait -kind tcp -warm 4 -batches 1 -batch %d", times*mebibytesSent)},
	}
}

// throughputScenarios are the repetitions. In each the rows take turns, so that
// whatever else the host does meets them all.
func throughputScenarios() []vm.Scenario {
	var all []vm.Scenario
	for i := range repetitions {
		parts := []string{network}
		for _, row := range throughputRows() {
			parts = append(parts, throughputTurn(row))
		}
		all = append(all, scenario(fmt.Sprintf("repetition %d", i), parts...))
	}
	return all
}

func throughputTurn(row tracer) string {
	var b strings.Builder
	switch row.program {
	case "skbpath":
		fmt.Fprintf(&b, startSkbpath, row.arguments)
	case "pwru":
		fmt.Fprintf(&b, startPwru, row.arguments)
	}
	for _, l := range throughputLoads(timesSent(row.row)) {
		fmt.Fprintf(&b, "%s | sed 's/^/%s: %s /'\nsleep 2\n", l.script, row.row, l.kind)
	}
	if row.program == "skbpath" {
		b.WriteString(strings.Replace(scrape, "sed 's/^/", "sed 's/^/"+row.row+": ", 1))
	}
	if row.program != "" {
		b.WriteString("kill $tracer\nwait $tracer || :\n")
	}
	return b.String()
}

// linesOf returns what a row printed, without its name.
func linesOf(row tracer, text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if own, ok := strings.CutPrefix(line, row.row+": "); ok {
			b.WriteString(own)
		}
	}
	return b.String()
}

// checkThroughput fails the test where a load ended early.
func (m measurements) checkThroughput(t *testing.T, row string) {
	t.Helper()
	for kind, want := range map[string]int{"one sender": repetitions, "two senders": 2 * repetitions, "tcp": repetitions} {
		if n := len(m[row][kind+" batch"]); n != want {
			t.Errorf("%s, %s: %d results, not %d", row, kind, n, want)
		}
	}
}

// times are how long each repetition took to send what a traced row sends.
func (m measurements) times(row, kind string) []float64 {
	all := m[row][kind+" batch"]
	var times []float64
	for senders := range slices.Chunk(all, max(1, len(all)/repetitions)) {
		times = append(times, slices.Max(senders)/float64(timesSent(row)))
	}
	return times
}

// ratios compares each repetition with the one without tracer just before it.
func (m measurements) ratios(row, kind string) []float64 {
	var all []float64
	without := m.times(rowNone, kind)
	for i, took := range m.times(row, kind) {
		if i < len(without) {
			all = append(all, took/without[i])
		}
	}
	return all
}

func (m measurements) throughputTable() string {
	var b strings.Builder
	b.WriteString("| | UDP, one sender, datagrams/s | time × | UDP, two senders, datagrams/s | time × | TCP, MiB/s | time × |\n")
	b.WriteString("|---|---|---|---|---|---|---|\n")
	for _, row := range throughputRows() {
		fmt.Fprintf(&b, "| %s |", row.row)
		b.WriteString(m.throughputCells(row.row, "one sender", datagramsSent))
		b.WriteString(m.throughputCells(row.row, "two senders", 2*datagramsSent))
		b.WriteString(m.throughputCells(row.row, "tcp", mebibytesSent) + "\n")
	}
	return b.String() + m.throughputLosses()
}

func (m measurements) throughputCells(row, kind string, sent float64) string {
	_, took, _ := spread(m.times(row, kind))
	rate := fmt.Sprintf(" %.0f |", sent/took*float64(time.Second))
	if row == rowNone {
		least, _, most := spread(m.times(row, kind))
		return rate + fmt.Sprintf(" 1 (%.2f–%.2f) |", least/took, most/took)
	}
	least, median, most := spread(m.ratios(row, kind))
	return rate + fmt.Sprintf(" %.2f (%.2f–%.2f) |", median, least, most)
}

// spread returns the least, the median and the most.
func spread(values []float64) (least, median, most float64) {
	if len(values) == 0 {
		return 0, 0, 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[0], sorted[len(sorted)/2], sorted[len(sorted)-1]
}

// throughputLosses is skbpath's account, of all repetitions together.
func (m measurements) throughputLosses() string {
	var b strings.Builder
	for _, row := range throughputRows() {
		for _, key := range sortedKeys(m[row.row]) {
			total := 0.0
			for _, n := range m[row.row][key] {
				total += n
			}
			if name, ok := strings.CutPrefix(key, "metric skbpath_"); ok && total != 0 && !strings.HasPrefix(name, "probes") {
				fmt.Fprintf(&b, "\n%s: %s %.0f", row.row, name, total)
			}
		}
	}
	return b.String()
}
