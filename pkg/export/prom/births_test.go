// SPDX-License-Identifier: Apache-2.0

package prom

import (
	"slices"
	"testing"
	"time"
)

// TestBirths: a series begins at the scrape before the first that shows it, and stays so.
func TestBirths(t *testing.T) {
	begun := time.Unix(1000, 0)
	scrape := func(n int) time.Time { return begun.Add(time.Duration(n) * time.Minute) }
	early, late := dropKey{reason: "NO_SOCKET"}, dropKey{reason: "QDISC_DROP"}
	b := newBirths(begun)
	for n, want := range [][]time.Time{
		{begun},
		{begun, scrape(0)},
		{begun, scrape(0)},
	} {
		if got := b.at(scrape(n), []dropKey{early, late}[:len(want)]); !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Errorf("at scrape %d the births are %v, want %v", n, got, want)
		}
	}
}
