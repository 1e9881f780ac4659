// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// ClockOffset returns what to add to CLOCK_MONOTONIC, which stamps hops, to
// get wall-clock time. It reads the wall clock between two monotonic readings
// and keeps the tightest of eight, good to some hundred nanoseconds.
func ClockOffset() (time.Duration, error) {
	const tries = 8
	var offset time.Duration
	tightest := time.Duration(1<<63 - 1)
	for range tries {
		before, err := readClock(unix.CLOCK_MONOTONIC)
		if err != nil {
			return 0, err
		}
		wall, err := readClock(unix.CLOCK_REALTIME)
		if err != nil {
			return 0, err
		}
		after, err := readClock(unix.CLOCK_MONOTONIC)
		if err != nil {
			return 0, err
		}
		if after-before < tightest {
			tightest = after - before
			offset = wall - before - (after-before)/2
		}
	}
	return offset, nil
}

func readClock(id int32) (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		return 0, fmt.Errorf("read clock %d: %w", id, err)
	}
	return time.Duration(t.Nano()), nil
}
