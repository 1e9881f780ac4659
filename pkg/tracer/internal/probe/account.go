// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"strings"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// lossName says what is lost for each enum loss of bpf/maps.h.
func lossName(l packetPathLoss) (what, cause string) {
	switch l {
	case packetPathLossLOST_RING_FULL:
		return "journey", "ring_full"
	case packetPathLossLOST_TABLE_FULL:
		return "journey", "table_full"
	case packetPathLossLOST_HOP_LIMIT:
		return "hop", "hop_limit"
	case packetPathLossLOST_BUSY:
		return "hop", "busy"
	case packetPathLossLOST_END:
		return "end", "unseen"
	case packetPathLossLOST_RATE:
		return "journey", "rate_limit"
	case packetPathLossLOST_WAIT_SERIES:
		return "wait", "series_limit"
	case packetPathLossLOST_PART:
		return "part", "ring_full"
	case packetPathLossLOST_SENDING:
		return "lineage", "sendings_limit"
	default:
		return "drop", "series_limit"
	}
}

// Losses returns everything that the kernel half could not see or keep since
// it was loaded. A count that cannot be read is logged and left out.
func (p *Probe) Losses() []journey.Loss {
	var all []journey.Loss
	losses := p.collection.Maps[packetPathMapLosses]
	for l := packetPathLoss(0); l < packetPathLossLOSSES; l++ {
		var perCPU []uint64
		if err := losses.Lookup(uint32(l), &perCPU); err != nil {
			p.options.Log.Error("cannot read losses", "err", err)
			continue
		}
		what, cause := lossName(l)
		all = append(all, journey.Loss{What: what, Cause: cause, Count: sum(perCPU)})
	}
	return append(all,
		journey.Loss{What: "hop", Cause: "recursion", Count: p.recursionMisses()},
		journey.Loss{What: "hop", Cause: "missed", Count: p.missed()},
		journey.Loss{What: "journey", Cause: "malformed", Count: p.malformed.Load()},
	)
}

// recursionMisses counts hits at which another probe was running on the CPU.
func (p *Probe) recursionMisses() uint64 {
	var total uint64
	for name, program := range p.collection.Programs {
		stats, err := program.Stats()
		if err != nil {
			p.options.Log.Error("cannot read statistics", "program", name, "err", err)
			continue
		}
		total += stats.RecursionMisses
	}
	return total
}

// missed counts hits that the kernel's own probe layer let pass. Kernels before
// 6.7 do not tell.
func (p *Probe) missed() uint64 {
	var total uint64
	for _, l := range p.attached.links {
		info, err := l.Info()
		if err != nil {
			continue
		}
		if multi := info.KprobeMulti(); multi != nil {
			total += multi.Missed
		}
	}
	return total
}

// Drops returns the host-wide count of drops. Places in one function, which the
// kernel half counts apart, are one row.
func (p *Probe) Drops() ([]journey.DropCount, error) {
	type counts struct{ packets, bytes uint64 }
	rows := make(map[journey.DropCount]counts)
	var key packetPathDropKey
	var perCPU []packetPathDropCount
	entries := p.collection.Maps[packetPathMapDrops].Iterate()
	for entries.Next(&key, &perCPU) {
		row := p.dropRow(key)
		total := rows[row]
		for _, c := range perCPU {
			total.packets += c.Packets
			total.bytes += c.Bytes
		}
		rows[row] = total
	}
	if err := entries.Err(); err != nil {
		return nil, fmt.Errorf("read drops: %w", err)
	}
	all := make([]journey.DropCount, 0, len(rows))
	for row, total := range rows {
		row.Packets, row.Bytes = total.packets, total.bytes
		all = append(all, row)
	}
	return all, nil
}

func (p *Probe) dropRow(key packetPathDropKey) journey.DropCount {
	drop := p.names.drop(key.Location, key.Reason)
	return journey.DropCount{
		Reason: drop.Reason, Subsystem: drop.Subsystem, Function: drop.Function,
		Protocol:  journey.Protocol(key.EtherType, key.Protocol),
		Interface: charText(key.Interface[:]),
	}
}

func charText(chars []int8) string {
	var b strings.Builder
	for _, c := range chars {
		if c == 0 {
			break
		}
		b.WriteByte(byte(c))
	}
	return b.String()
}

func sum(perCPU []uint64) uint64 {
	var total uint64
	for _, n := range perCPU {
		total += n
	}
	return total
}
