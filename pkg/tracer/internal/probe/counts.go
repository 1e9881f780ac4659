// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"time"
	"unsafe"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// layouts of the kernel half's histograms.
func functionBounds() []time.Duration {
	return bounds(packetPathBucketLayoutFUNCTION_BUCKET_LOW, packetPathBucketLayoutFUNCTION_BUCKET_STEP, len(packetPathFunctionCount{}.Durations)-1)
}

func stageBounds() []time.Duration {
	return bounds(packetPathBucketLayoutSTAGE_BUCKET_LOW, packetPathBucketLayoutSTAGE_BUCKET_STEP, len(packetPathStageCount{}.Durations)-1)
}

func bounds(low, step packetPathBucketLayout, count int) []time.Duration {
	all := make([]time.Duration, count)
	for i := range all {
		all[i] = 1 << (int(low) + i*int(step))
	}
	return all
}

// Functions counts the visits of followed packets to every function that had any.
func (p *Probe) Functions() ([]journey.FunctionCount, error) {
	counts, err := p.readCounts()
	if err != nil {
		return nil, fmt.Errorf("read function counts: %w", err)
	}
	limits := functionBounds()
	var all []journey.FunctionCount
	for i, name := range p.table.functions {
		c := journey.FunctionCount{Function: name, Duration: histogram(limits)}
		for ; i < len(counts); i += len(p.table.functions) { // on the next CPU
			c.Calls += counts[i].Unmeasured
			addTo(&c.Duration, counts[i].Durations[:], counts[i].TotalNs)
		}
		if c.Calls += c.Duration.Count(); c.Calls > 0 {
			all = append(all, c)
		}
	}
	return all, nil
}

// readCounts copies the counts of all functions on the first CPU, then on the next.
func (p *Probe) readCounts() ([]packetPathFunctionCount, error) {
	memory, err := p.collection.Maps[countsSection].Memory()
	if err != nil {
		return nil, err
	}
	counts := make([]packetPathFunctionCount, uint64(p.collection.Maps[countsSection].ValueSize())/functionCountSize)
	if len(counts) == 0 {
		return nil, nil
	}
	_, err = memory.ReadAt(unsafe.Slice((*byte)(unsafe.Pointer(&counts[0])), uint64(len(counts))*functionCountSize), 0)
	return counts, err
}

// Outcomes counts ended journeys by each outcome, in the order of its value.
func (p *Probe) Outcomes() ([]journey.OutcomeCount, error) {
	counts := p.collection.Maps[packetPathMapOutcomeCounts]
	limits := stageBounds()
	var all []journey.OutcomeCount
	var perCPU []packetPathStageCount
	for _, outcome := range journey.Outcomes() {
		if err := counts.Lookup(uint32(outcome), &perCPU); err != nil {
			return nil, fmt.Errorf("read outcome counts: %w", err)
		}
		all = append(all, journey.OutcomeCount{Outcome: outcome, Duration: sumStages(limits, perCPU)})
	}
	return all, nil
}

// Waits counts waits by their two ends.
func (p *Probe) Waits() ([]journey.WaitCount, error) {
	limits := stageBounds()
	var all []journey.WaitCount
	var key packetPathWaitKey
	var perCPU []packetPathStageCount
	entries := p.collection.Maps[packetPathMapWaitCounts].Iterate()
	for entries.Next(&key, &perCPU) {
		all = append(all, journey.WaitCount{
			From: p.table.functions[key.From], To: p.table.functions[key.To], Duration: sumStages(limits, perCPU),
		})
	}
	if err := entries.Err(); err != nil {
		return nil, fmt.Errorf("read wait counts: %w", err)
	}
	return all, nil
}

func sumStages(limits []time.Duration, perCPU []packetPathStageCount) journey.Histogram {
	h := histogram(limits)
	for cpu := range perCPU {
		addTo(&h, perCPU[cpu].Durations[:], perCPU[cpu].TotalNs)
	}
	return h
}

func histogram(limits []time.Duration) journey.Histogram {
	return journey.Histogram{Bounds: limits, Counts: make([]uint64, len(limits)+1)}
}

func addTo(h *journey.Histogram, durations []uint64, totalNs uint64) {
	for i, n := range durations {
		h.Counts[i] += n
	}
	h.Sum += time.Duration(totalNs)
}
