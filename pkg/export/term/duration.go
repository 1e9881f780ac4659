// SPDX-License-Identifier: Apache-2.0

package term

import (
	"math"
	"strconv"
	"time"
)

// human writes a duration with three significant digits and a unit: 850 ns,
// 1.25 µs, 12.5 ms, 3.00 s. The limits lie where rounding would add a digit.
func human(d time.Duration) string {
	size := math.Abs(float64(d))
	if size < 1e3 {
		return strconv.FormatInt(int64(d), 10) + " ns"
	}
	scale, unit := 1e3, " µs"
	switch {
	case size >= 999.5e6:
		scale, unit = 1e9, " s"
	case size >= 999.5e3:
		scale, unit = 1e6, " ms"
	}
	decimals := 2
	switch {
	case size/scale >= 99.95:
		decimals = 0
	case size/scale >= 9.995:
		decimals = 1
	}
	return strconv.FormatFloat(float64(d)/scale, 'f', decimals, 64) + unit
}
