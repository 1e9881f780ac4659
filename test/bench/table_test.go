// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"fmt"
	"slices"
	"strings"
)

const (
	batch      = 500 // what load sends by default
	counted    = 1000
	wholePings = 2000
	rowFlood   = "pwru flood"
)

func rows() []string {
	all := []string{rowNone, rowEmpty, rowEmptyOther}
	for _, t := range tracers {
		all = append(all, t.row)
	}
	return all
}

// perPacket is the least that a batch took: what came on top was the timer.
func (m measurements) perPacket(row, kind string) float64 {
	batches := m[row][kind+" batch"]
	if len(batches) == 0 {
		return 0
	}
	return slices.Min(batches) / batch
}

// added is what a row adds to a packet without tracer.
func (m measurements) added(row, kind string) float64 {
	return m.perPacket(row, kind) - m.perPacket(rowNone, kind)
}

func (m measurements) one(row, key string) float64 {
	if values := m[row][key]; len(values) > 0 {
		return values[0]
	}
	return 0
}

// hits is how often a program on all functions runs for one packet.
func (m measurements) hits(row, kind string) float64 {
	return m.one(row, kind+" counted hits") / counted
}

// whole is what a ping makes the CPU do in all, less what it does without
// tracer and what the tracer does without packets.
func (m measurements) whole(row string) float64 {
	seconds := m.one(row, "whole elapsed") / m.one(row, "idle elapsed")
	return (m.one(row, "whole busy") - m.one(row, "idle busy")*seconds - m.one(rowNone, "whole busy")) / wholePings
}

// idle is the share of the CPU that a tracer takes with no packets to trace.
func (m measurements) idle(row string) float64 {
	return m.one(row, "idle busy") / m.one(row, "idle elapsed")
}

func emptyFor(row string) string {
	if strings.HasPrefix(row, "pwru") || row == rowEmptyOther {
		return rowEmptyOther
	}
	return rowEmpty
}

func (m measurements) table() string {
	var b strings.Builder
	b.WriteString("| | ping | added | a hop | × empty | UDP | added | a hop | × empty | whole system, a ping | idle |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, row := range rows() {
		fmt.Fprintf(&b, "| %s |", row)
		for _, kind := range []string{"ping", "udp"} {
			base := emptyFor(row)
			added, hits, empty := m.added(row, kind), m.hits(base, kind), m.added(base, kind)
			fmt.Fprintf(&b, " %.0f | %.0f | %.0f | %.2f |", m.perPacket(row, kind), added, added/hits, added/empty)
		}
		fmt.Fprintf(&b, " %.0f | %.2f %% |\n", m.whole(row), 100*m.idle(row))
	}
	for _, row := range []string{rowEmpty, rowEmptyOther} {
		fmt.Fprintf(&b, "\n%s: %.0f attached, %.2f hits a ping, %.2f a UDP datagram", row, m.one(row, "ping attached"), m.hits(row, "ping"), m.hits(row, "udp"))
	}
	b.WriteString("\n" + m.losses())
	return b.String()
}

// losses tells what became of the packets of a flood.
func (m measurements) losses() string {
	var b strings.Builder
	for _, row := range rows() {
		for _, key := range sortedKeys(m[row]) {
			if strings.HasPrefix(key, "metric ") && m.one(row, key) != 0 {
				fmt.Fprintf(&b, "\n%s: %s %.0f", row, strings.TrimPrefix(key, "metric "), m.one(row, key))
			}
		}
	}
	fmt.Fprintf(&b, "\npwru printed %.0f lines for %d pings, %.1f of %.1f functions each\n", m.one(rowFlood, "flood lines"), floodPings,
		m.one(rowFlood, "flood lines")/floodPings, m.hits(rowEmptyOther, "ping"))
	return b.String()
}

func sortedKeys(values map[string][]float64) []string {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
