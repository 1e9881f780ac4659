// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	batch      = 1000 // what load sends by default
	batches    = 4    // and how often
	counted    = 1000
	wholePings = 2000
	rowFlood   = "pwru flood"
	spinning   = 0.9 // of a CPU, with no packets
)

func rows(kernel string) []string {
	all := append([]string{rowNone}, emptyRows(kernel)...)
	for _, t := range tracers(kernel) {
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
// tracer, what the tracer does without packets, and what a collector does.
func (m measurements) whole(row string) float64 {
	seconds := m.one(row, "whole elapsed") / m.one(row, "idle elapsed")
	return (m.one(row, "whole busy") - m.one(row, "idle busy")*seconds - m.one(rowNone, "whole busy") - m.one(row, "whole collector")) / wholePings
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

func (m measurements) table(kernel string) string {
	var b strings.Builder
	b.WriteString("| | ping | added | a hit | × empty | UDP | added | a hit | × empty | ping, tracer running | whole system, a ping | idle |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, row := range rows(kernel) {
		fmt.Fprintf(&b, "| %s |", row)
		for _, kind := range []string{"ping", "udp"} {
			b.WriteString(m.cells(row, kind))
		}
		b.WriteString(m.wholeCells(row) + "\n")
	}
	for _, row := range emptyRows(kernel) {
		fmt.Fprintf(&b, "\n%s: %.0f attached, %.2f hits a ping, %.2f a UDP datagram", row, m.one(row, "ping attached"), m.hits(row, "ping"), m.hits(row, "udp"))
	}
	return b.String() + "\n" + m.losses(kernel)
}

func (m measurements) cells(row, kind string) string {
	base := emptyFor(row)
	added, hits, empty := m.added(row, kind), m.hits(base, kind), m.added(base, kind)
	if row == rowNone {
		return fmt.Sprintf(" %.0f | | | |", m.perPacket(row, kind))
	}
	return fmt.Sprintf(" %.0f | %.0f | %.0f | %.2f |", m.perPacket(row, kind), added, added/hits, added/empty)
}

func (m measurements) wholeCells(row string) string {
	running := m.one(row, "whole batch") / wholePings
	switch {
	case running == 0:
		return " | | |"
	case row == rowNone:
		return fmt.Sprintf(" %.0f | | |", running)
	case m.idle(row) > spinning:
		return fmt.Sprintf(" %.0f | spins | %.0f %% |", running, 100*m.idle(row))
	}
	return fmt.Sprintf(" %.0f | %.0f | %.2f %% |", running, m.whole(row), 100*m.idle(row))
}

// losses tells what became of the packets of all loads.
func (m measurements) losses(kernel string) string {
	var b strings.Builder
	for _, t := range tracers(kernel) {
		if t.program == "skbpath" {
			fmt.Fprintf(&b, "\n%s: %.0f pings and %.0f UDP datagrams sent", t.row, m.sum(t.row, "ping sent", "whole sent", "idle sent", "flood sent"), m.sum(t.row, "udp sent"))
		}
		for _, key := range sortedKeys(m[t.row]) {
			if name, ok := strings.CutPrefix(key, "metric skbpath_"); ok && m.one(t.row, key) != 0 {
				fmt.Fprintf(&b, ", %s %.0f", name, m.one(t.row, key))
			}
		}
	}
	sent, printed := m.one(rowFlood, "flood sent"), m.one(rowFlood, "flood lines")
	fmt.Fprintf(&b, "\npwru, matching, in a flood: %.0f lines for %.0f pings, %.2f of %.0f a ping\n",
		printed, sent, printed/sent, m.hits(rowEmptyOther, "ping"))
	return b.String()
}

func (m measurements) sum(row string, keys ...string) float64 {
	total := 0.0
	for _, key := range keys {
		total += m.one(row, key)
	}
	return total
}

func sortedKeys(values map[string][]float64) []string {
	return slices.Sorted(maps.Keys(values))
}
