// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/skbpath/skbpath/test/vm"
)

// traffic is a load of the second table. Of a connection's packets the kernel
// decides how many there are, so they are counted.
type traffic struct {
	kind, arguments string
	batch           int // what arguments say: datagrams, or MiB
	mebibytes       bool
}

func traffics() []traffic {
	return []traffic{
		{kind: "tcp", arguments: "-kind tcp -warm 16 -batch 32", batch: 32, mebibytes: true},
		{kind: "bridge", arguments: "-kind flow -from bridge-a -to bridge-b", batch: batch},
		{kind: "nat", arguments: "-kind flow -from nat-a -to nat-b", batch: batch},
	}
}

// TestCostLoads prints the table of the other loads: bulk TCP, a bridge, NAT.
func TestCostLoads(t *testing.T) {
	for _, kernel := range kernels() {
		t.Run(kernel, func(t *testing.T) {
			r := run(t, kernel, loadScenarios(), "bridge", "nf_tables", "nft_chain_nat", "nft_masq")
			m := make(measurements)
			for _, row := range loadRows() {
				m.read(row, r.Scenarios[scenarioName(row)].Stdout)
				m.checkLoads(t, row)
			}
			t.Logf("%s\n%s", r.Release, m.loadTable())
		})
	}
}

func loadTracers() []tracer {
	const all, other = "icmp or udp or tcp", "tcp port 9"
	return named([]tracer{
		{"skbpath, matching", "skbpath", "--print=json " + all},
		{"skbpath, only counted", "skbpath", "--print=none " + all},
		{"skbpath, not matching", "skbpath", "--print=json " + other},
		{"pwru, matching", "pwru", all},
		{"pwru --filter-track-skb, matching", "pwru", "--filter-track-skb " + all},
	})
}

func loadRows() []string {
	rows := []string{rowNone, rowEmpty}
	for _, t := range loadTracers() {
		rows = append(rows, t.row)
	}
	return rows
}

func loadScenarios() []vm.Scenario {
	networks := network + bridged + routed
	all := []vm.Scenario{
		scenario("functions", listFunctions()),
		scenario(rowNone, networks, eachLoad(oneLoad), crossed),
		scenario(rowEmpty, networks, eachLoad(`
empty -functions /tmp/skbpath load %[2]s | sed 's/^/%[1]s /'
empty -count -functions /tmp/skbpath load %[2]s -warm 0 -batches 1 | sed 's/^/%[1]s counted /'
`)),
	}
	for _, t := range loadTracers() {
		// pwru stays stopped, since it would spin until the machine has executed
		// whatever a sleep takes; its queue is full by the end of the warm-up.
		start, each, after := startPwru, "kill -STOP $tracer\n"+oneLoad, ""
		if t.program == "skbpath" {
			start, each, after = startSkbpath, "kill -STOP $tracer\n"+oneLoad+"\nkill -CONT $tracer\nsleep 5\n", scrape
		}
		all = append(all, scenario(t.row, networks, fmt.Sprintf(start, t.arguments), eachLoad(each), after))
	}
	return all
}

const oneLoad = `load %[2]s | sed 's/^/%[1]s /'`

// eachLoad repeats lines for every load, with its kind and its arguments.
func eachLoad(format string) string {
	var b strings.Builder
	for _, l := range traffics() {
		fmt.Fprintf(&b, format+"\n", l.kind, l.arguments)
	}
	return b.String()
}

// checkLoads fails the test where a load ended early, took another way, was not
// what the filter says, or left no room in the stopped tracer's ring: each would
// look cheap.
func (m measurements) checkLoads(t *testing.T, row string) {
	t.Helper()
	for _, l := range traffics() {
		if n := len(m[row][l.kind+" batch"]); n != batches {
			t.Errorf("%s: %s ran %d batches of %d", row, l.kind, n, batches)
		}
	}
	journeys := 0.0
	for _, key := range sortedKeys(m[row]) {
		if strings.Contains(key, "ring_full") && m.one(row, key) != 0 {
			t.Errorf("%s: %s %.0f", row, key, m.one(row, key))
		}
		if strings.Contains(key, "journeys_total") {
			journeys += m.one(row, key)
		}
	}
	if matching := strings.HasPrefix(row, "skbpath") && !strings.HasSuffix(row, "not matching"); matching != (journeys > 0) {
		t.Errorf("%s: %.0f journeys", row, journeys)
	}
	if row == rowNone && (m.one(row, "crossed bridge") < batch || m.one(row, "crossed nat") < 1) {
		t.Errorf("%.0f packets crossed the bridge, %.0f flows were masqueraded", m.one(row, "crossed bridge"), m.one(row, "crossed nat"))
	}
}

// frames is how many packets a batch has, in both directions.
func (m measurements) frames(row string, l traffic) float64 {
	return m.one(row, l.kind+" frames") / batches
}

// least is the batch that took the least: what came on top was the timer.
func (m measurements) least(row string, l traffic) float64 {
	if took := m[row][l.kind+" batch"]; len(took) > 0 {
		return slices.Min(took)
	}
	return 0
}

// addedPerFrame compares batches and not their packets: with a tracer the same
// bytes may come in a few packets more.
func (m measurements) addedPerFrame(row string, l traffic) float64 {
	return (m.least(row, l) - m.least(rowNone, l)) / m.frames(row, l)
}

func (m measurements) loadTable() string {
	var b strings.Builder
	b.WriteString("| | TCP, a MiB | a packet | added | × empty | bridge, a datagram | added | × empty | NAT, a datagram | added | × empty |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, row := range loadRows() {
		fmt.Fprintf(&b, "| %s |", row)
		for _, l := range traffics() {
			b.WriteString(m.loadCells(row, l))
		}
		b.WriteString("\n")
	}
	for _, l := range traffics() {
		fmt.Fprintf(&b, "\n%s: %.2f hits a packet; packets in a batch, row by row:", l.kind,
			m.one(rowEmpty, l.kind+" counted hits")/m.one(rowEmpty, l.kind+" counted frames"))
		for _, row := range loadRows() {
			fmt.Fprintf(&b, " %.0f", m.frames(row, l))
		}
	}
	return b.String() + "\n" + m.loadLosses()
}

func (m measurements) loadCells(row string, l traffic) string {
	cells := fmt.Sprintf(" %.0f |", m.least(row, l)/m.frames(row, l))
	if l.mebibytes {
		cells = fmt.Sprintf(" %.0f |%s", m.least(row, l)/float64(l.batch), cells)
	}
	if row == rowNone {
		return cells + " | |"
	}
	added := m.addedPerFrame(row, l)
	return cells + fmt.Sprintf(" %.0f | %.2f |", added, added/m.addedPerFrame(rowEmpty, l))
}

// loadLosses is skbpath's account of these loads.
func (m measurements) loadLosses() string {
	var b strings.Builder
	for _, t := range loadTracers() {
		for _, key := range sortedKeys(m[t.row]) {
			if name, ok := strings.CutPrefix(key, "metric skbpath_"); ok && m.one(t.row, key) != 0 {
				fmt.Fprintf(&b, "\n%s: %s %.0f", t.row, name, m.one(t.row, key))
			}
		}
	}
	return b.String()
}
