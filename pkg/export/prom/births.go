// SPDX-License-Identifier: Apache-2.0

package prom

import (
	"sync"
	"time"
)

// births remembers of each series of drops a time at which it was 0: the scrape before the
// first that showed it. A Prometheus that takes created timestamps for samples
// (created-timestamp-zero-ingestion) then has the first drop in its rates, which else see a
// series that has always been 1. There are no more series than the kernel half counts.
type births struct {
	mu   sync.Mutex
	born map[dropKey]time.Time
	last time.Time // the scrape before this one, or when everything began to count
}

func newBirths(loaded time.Time) *births {
	return &births{born: make(map[dropKey]time.Time), last: loaded}
}

// at begins a scrape, and returns the births of the series that it shows.
func (b *births) at(now time.Time, shown []dropKey) []time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]time.Time, len(shown))
	for i, key := range shown {
		if _, known := b.born[key]; !known {
			b.born[key] = b.last
		}
		all[i] = b.born[key]
	}
	b.last = now
	return all
}
